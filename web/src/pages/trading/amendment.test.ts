import { expect, it } from "vitest";
import type { Order } from "../../api/types";
import { amendmentOf, changeable, changeOf, wrongIn } from "./amendment";

const order = {
  type: "stop_limit",
  quantity: "2",
  limit_price: "10.50",
  stop_price: "10",
  trail_percent: null,
  trail_price: null,
  time_in_force: "day",
} as Order;
const trailing = {
  ...order,
  type: "trailing_stop",
  limit_price: null,
  stop_price: "9",
  trail_percent: "5",
} as Order;

it("a change sends only what differs", () => {
  const change = changeOf(order);
  expect(amendmentOf(order, change)).toBeNull();
  expect(amendmentOf(order, { ...change, limit_price: " 11 ", time_in_force: "gtc" })).toEqual({
    limit_price: "11",
    time_in_force: "gtc",
  });
});

it("the stop of a trailing stop is the market's to move, its trail is ours", () => {
  expect(changeable(trailing)).toEqual(["quantity", "trail"]);
  expect(amendmentOf(trailing, { ...changeOf(trailing), trail: "4" })).toEqual({
    trail_percent: "4",
  });
});

it("a change is of numbers above zero", () => {
  expect(
    Object.keys(wrongIn(order, { ...changeOf(order), quantity: "0", stop_price: "x" })),
  ).toEqual(["quantity", "stop_price"]);
});
