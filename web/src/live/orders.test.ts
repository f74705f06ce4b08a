import { describe, expect, it } from "vitest";
import type { Order, OrderStatus } from "../api/types";
import { isOpen, withOrders } from "./orders";

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
});
