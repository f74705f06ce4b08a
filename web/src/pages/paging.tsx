import { type QueryKey, useInfiniteQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo } from "react";
import { problemOf } from "../api/client";
import { Button } from "../ui/controls";
import { Refusal } from "./refusal";

interface Page<Row> {
  items: Row[];
  next_cursor?: string | null;
}

/** A list that comes in pages, the pages joined. */
export function usePages<Row>(key: QueryKey, load: (cursor?: string) => Promise<Page<Row>>) {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => load(pageParam || undefined),
    initialPageParam: "",
    getNextPageParam: (last: Page<Row>) => last.next_cursor ?? undefined,
    // Whoever comes back to a list wants to see what happened meanwhile.
    refetchOnMount: "always",
  });
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  return { ...query, rows };
}

/** What to say of a list that shows nothing: that it loads, that it failed, or `none`. */
export function nothing(pages: ReturnType<typeof usePages>, none: string): string {
  if (pages.isPending) return "Loading…";
  return pages.error ? "" : none;
}

/** The foot of such a list: the way to more, or why there is none, and what can be done with the list. */
export function More({
  pages,
  children,
}: {
  pages: ReturnType<typeof usePages>;
  children?: ReactNode;
}) {
  if (pages.error)
    return (
      <div className="p-3">
        <Refusal problem={problemOf(pages.error)} title="The list could not be loaded" />
      </div>
    );
  return (
    <div className="flex items-center justify-between gap-3 px-3 py-2 text-xs text-muted">
      <span className="mr-auto">{pages.isPending ? "Loading…" : `${pages.rows.length} shown`}</span>
      {children}
      {pages.hasNextPage && (
        <Button small disabled={pages.isFetchingNextPage} onClick={() => pages.fetchNextPage()}>
          {pages.isFetchingNextPage ? "Loading…" : "Load more"}
        </Button>
      )}
    </div>
  );
}
