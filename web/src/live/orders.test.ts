import { describe, expect, it } from "vitest";
import type { Order, OrderStatus } from "../api/types";
import { isOpen, withLegs, withOrders } from "./orders";

const order = (id: string, version: number, status: OrderStatus, created_at = id): Order =>
  ({ id, version, status, created_at }) as Order;

describe("orders", () => {
  it("take the newer version, whichever came first", () => {
    const known = [order("1", 3, "partially_filled")];
    expect(withOrders(known, [order("1", 2, "working")])[0]?.version).toBe(3);
    expect(withOrders(known, [order("1", 4, "filled")])[0]?.status).toBe("filled");
  });

  it("stand newest first", () => {
    const list = withOrders(
      [order("1", 1, "working")],
      [order("3", 1, "working"), order("2", 1, "working")],
    );
    expect(list.map((one) => one.id)).toEqual(["3", "2", "1"]);
  });

  it("of unknown fate are open: the broker may have them", () => {
    expect(isOpen(order("1", 1, "unknown"))).toBe(true);
    expect(isOpen(order("1", 1, "canceled"))).toBe(false);
  });

  it("keep every open one and only the last of the closed", () => {
    const closed = Array.from({ length: 50 }, (_, i) => order(String(100 + i), 1, "filled"));
    const list = withOrders([order("001", 1, "working")], closed);
    expect(list.filter(isOpen)).toHaveLength(1);
    expect(list).toHaveLength(21);
    expect(list[0]?.id).toBe("149");
  });

  it("have their legs behind them, and a leg whose parent is gone stands alone", () => {
    const leg = (id: string, parent_id: string) =>
      ({ ...order(id, 1, "held"), parent_id }) as Order;
    const single = { ...order("1", 1, "working"), parent_id: null } as Order;
    const parent = { ...order("4", 1, "working"), parent_id: null } as Order;
    const placed = withLegs([leg("6", "4"), leg("5", "4"), parent, leg("3", "gone"), single]);
    expect(placed.map((one) => `${one.order.id}:${one.depth}`)).toEqual([
      "4:0",
      "6:1",
      "5:1",
      "3:0",
      "1:0",
    ]);
  });
});
