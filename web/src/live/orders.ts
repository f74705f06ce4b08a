import { answer, api } from "../api/client";
import type { Order, OrderStatus } from "../api/types";
import type { Source } from "./resource";

const TERMINAL: readonly OrderStatus[] = ["filled", "canceled", "expired", "rejected"];

/** Closed orders kept beside the open ones, to tell how they ended. */
const CLOSED_KEPT = 20;

/** Whether the order can still fill. `unknown` can: the broker may have it. */
export function isOpen(order: Order): boolean {
  return !TERMINAL.includes(order.status);
}

/** The open orders of an account and the last few that closed while we watched, newest first. */
export function ordersSource(accountId: string): Source<readonly Order[]> {
  return {
    topics: [`orders:${accountId}`],
    async load() {
      const query = { account_id: accountId, status: "open" as const, limit: 1000 };
      const list = await answer(api.GET("/api/v1/orders", { params: { query } }));
      return list.items;
    },
    apply: (orders, events) =>
      withOrders(
        orders,
        events.map((event) => event.data as Order),
      ),
  };
}

/** The orders with newer versions put in. */
export function withOrders(orders: readonly Order[], news: readonly Order[]): readonly Order[] {
  const byId = new Map(orders.map((order) => [order.id, order]));
  for (const order of news) {
    const known = byId.get(order.id);
    if (!known || order.version > known.version) byId.set(order.id, order);
  }
  let closed = 0;
  return [...byId.values()]
    .sort((a, b) => (a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : 0))
    .filter((order) => isOpen(order) || ++closed <= CLOSED_KEPT);
}
