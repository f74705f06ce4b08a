import { answer, api } from "../api/client";
import type { Order, OrderStatus } from "../api/types";
import type { Source } from "./resource";

const TERMINAL: readonly OrderStatus[] = ["filled", "canceled", "replaced", "expired", "rejected"];

/** Closed orders kept beside the open ones, to tell how they ended. */
const CLOSED_KEPT = 20;

/** An order, and how far it stands below the one that brought it with it. */
export interface Placed {
  order: Order;
  depth: 0 | 1;
}

/** The orders in their order, each leg behind its parent where that is among them. */
export function withLegs(orders: readonly Order[]): readonly Placed[] {
  const ids = new Set(orders.map((order) => order.id));
  const legs = new Map<string, Order[]>();
  for (const order of orders)
    if (order.parent_id && ids.has(order.parent_id))
      legs.set(order.parent_id, [...(legs.get(order.parent_id) ?? []), order]);
  const inAnother = (order: Order) => order.parent_id !== null && ids.has(order.parent_id);
  return orders
    .filter((order) => !inAnother(order))
    .flatMap((order) => [
      { order, depth: 0 as const },
      ...(legs.get(order.id) ?? []).map((leg) => ({ order: leg, depth: 1 as const })),
    ]);
}

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
