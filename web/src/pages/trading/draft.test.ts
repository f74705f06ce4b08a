import { describe, expect, it } from "vitest";
import { chosen, clash, type Draft, EMPTY, fieldNamed, fieldsOf, requestOf, wrong } from "./draft";

const draft = (part: Partial<Draft>): Draft => ({ ...EMPTY, ...part });
const filled: Partial<Draft> = {
  quantity: "1",
  notional: "500",
  limit_price: "10",
  stop_price: "9",
  trail: "2.5",
  take_profit: "12",
  stop_loss: "8",
  stop_loss_limit: "7.50",
};

describe("the fields of an order", () => {
  it.each<[Partial<Draft>, string]>([
    [{ type: "market" }, "quantity"],
    [{ type: "market", size: "notional" }, "notional"],
    [{ type: "limit" }, "quantity limit_price"],
    [{ type: "stop" }, "quantity stop_price"],
    [{ type: "stop_limit" }, "quantity stop_price limit_price"],
    [{ type: "trailing_stop" }, "quantity trail"],
    [{ class: "bracket", type: "market" }, "quantity take_profit stop_loss stop_loss_limit"],
    [{ class: "oco", type: "limit" }, "quantity limit_price stop_loss stop_loss_limit"],
    [{ class: "oto", oto: "take_profit", type: "market" }, "quantity take_profit"],
    [{ class: "oto", oto: "stop_loss", type: "market" }, "quantity stop_loss stop_loss_limit"],
  ])("of %j are %s", (part, fields) => {
    expect(fieldsOf(draft(part)).join(" ")).toBe(fields);
  });

  it("are all asked for, but for the limit of a stop-loss", () => {
    expect(Object.keys(wrong(draft({ class: "bracket", type: "stop_limit" })))).toEqual([
      "quantity",
      "stop_price",
      "limit_price",
      "take_profit",
      "stop_loss",
    ]);
  });

  it("are known by the desk's names too", () => {
    expect(
      ["trail_percent", "take_profit", "stop_loss.limit_price", "symbol", undefined].map(
        fieldNamed,
      ),
    ).toEqual(["trail", "take_profit", "stop_loss_limit", null, null]);
  });
});

describe("a choice", () => {
  it("moves aside what does not go with it", () => {
    const before = draft({ type: "trailing_stop", time_in_force: "gtc" });
    expect(chosen(before, { class: "bracket" })).toMatchObject({ type: "limit", class: "bracket" });
    expect(chosen(draft({ time_in_force: "fok" }), { type: "stop" })).toMatchObject({
      time_in_force: "day",
    });
    expect(chosen(draft({ extended_hours: true }), { type: "market" }).extended_hours).toBe(false);
  });

  it("says why it cannot be made", () => {
    expect(clash(draft({ class: "oco" }), { type: "market" })).toBe("an OCO is a limit order");
    expect(clash(draft({ type: "stop" }), { time_in_force: "ioc" })).toContain("waits");
    expect(clash(draft({ type: "limit" }), { time_in_force: "ioc" })).toBeNull();
  });
});

describe("an order", () => {
  it("has only what applies to it", () => {
    expect(requestOf(draft({ ...filled, type: "market", size: "notional" }), "BTC-USD")).toEqual({
      symbol: "BTC-USD",
      side: "buy",
      type: "market",
      time_in_force: "day",
      notional: "500",
    });
  });

  it("brings its exits with it", () => {
    expect(requestOf(draft({ ...filled, class: "bracket" }), "BTC-USD")).toMatchObject({
      class: "bracket",
      take_profit: { limit_price: "12" },
      stop_loss: { stop_price: "8", limit_price: "7.50" },
    });
    expect(
      requestOf(draft({ ...filled, class: "oco", stop_loss_limit: " " }), "BTC-USD"),
    ).toMatchObject({ class: "oco", limit_price: "10", stop_loss: { stop_price: "8" } });
  });

  it("trails by price or by per cent, never both", () => {
    const trailing = draft({ ...filled, type: "trailing_stop" });
    expect(requestOf(trailing, "BTC-USD")).toMatchObject({ trail_percent: "2.5" });
    expect(requestOf(trailing, "BTC-USD")).not.toHaveProperty("trail_price");
    expect(requestOf({ ...trailing, trail_in: "price" }, "BTC-USD")).toMatchObject({
      trail_price: "2.5",
    });
  });
});
