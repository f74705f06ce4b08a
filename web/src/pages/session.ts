import { queryOptions, useSuspenseQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { answer, api } from "../api/client";
import type { AccountSummary, Permission, Session } from "../api/types";

/** Who is signed in, what they may do and on which accounts. */
export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: () => answer(api.GET("/api/v1/session")),
  staleTime: 60_000,
});

export function useSession(): Session {
  return useSuspenseQuery(sessionQuery).data;
}

/** Whether to offer an act. The desk decides anew on each request; this only keeps the page honest. */
export function useMay(permission: Permission): boolean {
  return useSession().permissions.includes(permission);
}

/** The account chosen in the address, else the first; undefined when none is granted. */
export function useAccount(): AccountSummary | undefined {
  const { accounts } = useSession();
  const { account } = useSearch({ from: "__root__" });
  return accounts.find((one) => one.id === account) ?? accounts[0];
}

/** Changes the account and stays on the page. */
export function useChooseAccount(): (id: string) => void {
  const navigate = useNavigate();
  return (account) => navigate({ to: ".", search: (old) => ({ ...old, account }) });
}

/** The accounts that may be seen, in the order of the session. */
export function useAccountIds(): readonly string[] {
  return useSession().accounts.map((one) => one.id);
}
