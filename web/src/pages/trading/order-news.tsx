import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { AccountSummary, Order } from "../../api/types";
import { orders } from "../../live/desk";
import { useResource } from "../../live/resource";
import { orderLine, statusWord } from "./words";

const REFRESH_EVERY_MS = 1_000;

/**
 * Follows the account's orders on every page: says aloud what became of them, and refreshes the
 * lists that are not live, at most once a second.
 */
export function OrderNews({ account }: { account: AccountSummary }) {
  const { state } = useResource(orders(account.id));
  const client = useQueryClient();
  const known = useRef<readonly Order[] | undefined>(undefined);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const [said, setSaid] = useState("");

  useEffect(() => {
    const before = known.current;
    known.current = state;
    if (!state || !before || state === before) return;
    const news = changes(before, state);
    if (news.length > 0) setSaid(news.join(". "));
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      for (const key of ["orders", "fills", "order-events"])
        void client.invalidateQueries({ queryKey: [key] });
    }, REFRESH_EVERY_MS);
  }, [state, client]);
  useEffect(() => () => clearTimeout(timer.current), []);

  return (
    <div aria-live="polite" className="sr-only">
      {said}
    </div>
  );
}

/** A sentence for each order whose status is another one than before. */
function changes(before: readonly Order[], after: readonly Order[]): string[] {
  const statuses = new Map(before.map((order) => [order.id, order.status]));
  return after
    .filter((order) => statuses.get(order.id) !== order.status)
    .map((order) => `${statusWord(order.status)}: ${orderLine(order)}`);
}
