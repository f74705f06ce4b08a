import { useQuery } from "@tanstack/react-query";
import { answer, api } from "../../api/client";

/** The books of an account, its own first. */
export function useBooks(accountId: string | undefined) {
  return useQuery({
    queryKey: ["books", accountId],
    queryFn: () =>
      answer(api.GET("/api/v1/accounts/{id}/books", { params: { path: { id: accountId ?? "" } } })),
    refetchInterval: 5_000,
    enabled: accountId !== undefined,
  });
}

/** What a book is called; its id until that is known, and null for the account's own. */
export function useBookName(accountId: string, bookId: string | null): string | null {
  const books = useBooks(accountId).data?.items;
  if (bookId === null) return null;
  return books?.find((one) => one.id === bookId)?.name ?? bookId;
}
