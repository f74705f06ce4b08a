import { describe, expect, it } from "vitest";
import type { MarketSymbol, Trade } from "../api/types";
import { change24h, marketSource } from "./market";
import { withTrades } from "./tape";

const symbol = (last_price: string | null, change_24h: string | null = null) =>
  ({ symbol: "BTC-USD", last_price, last_at: "2026-11-21T12:00:00Z", change_24h }) as MarketSymbol;
const trade = (price: string, at: string, id: string | null = null) =>
  ({ id, price, quantity: "1", side: "buy", exchange: 1, at }) as Trade;
const event = (topic: string, data: unknown) => ({ topic, seq: 1, at: "", data });

describe("the market", () => {
  const { apply, topics } = marketSource(["BTC-USD", "ETH-USD"]);

  it("follows trades and quotes of each symbol", () => {
    expect(topics).toEqual([
      "trades:BTC-USD",
      "quotes:BTC-USD",
      "trades:ETH-USD",
      "quotes:ETH-USD",
    ]);
  });

  it("moves the last price forward in time only", () => {
    const moved = apply(
      [symbol("100")],
      [
        event("trades:BTC-USD", trade("101", "2026-11-21T12:00:02Z")),
        event("trades:BTC-USD", trade("99", "2026-11-21T12:00:01Z")),
        event("trades:DOGE-USD", trade("1", "2026-11-21T12:00:03Z")),
      ],
    );
    expect(moved.map((one) => one.last_price)).toEqual(["101"]);
  });

  it("measures the day's change against the snapshot's reference", () => {
    expect(change24h(symbol("121"), symbol("110", "0.1"))).toBeCloseTo(0.21);
    expect(change24h(symbol("121"), symbol("110"))).toBeNull();
    expect(change24h(symbol(null), symbol("110", "0.1"))).toBeNull();
  });
});

describe("the tape", () => {
  const old = [trade("2", "t2"), trade("1", "t1")];

  it("puts new prints on top, in order", () => {
    const tape = withTrades(old, [trade("3", "t3"), trade("4", "t4")]);
    expect(tape.map((one) => one.price)).toEqual(["4", "3", "2", "1"]);
  });

  it("shows a print once that the snapshot and the stream both had", () => {
    expect(withTrades(old, [trade("2", "t2")])).toBe(old);
    expect(withTrades([trade("5", "t5", "a")], [trade("5", "t5", "b")])).toHaveLength(2);
  });
});
