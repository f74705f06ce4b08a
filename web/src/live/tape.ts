import { answer, api } from "../api/client";
import type { Trade } from "../api/types";
import type { Source } from "./resource";

/** Prints kept; more than a column of the page shows. */
const KEPT = 60;

/** The last prints of a symbol, newest first. */
export function tapeSource(symbol: string): Source<readonly Trade[]> {
  return {
    topics: [`trades:${symbol}`],
    async load() {
      const query = { symbol, limit: KEPT };
      return (await answer(api.GET("/api/v1/market/trades", { params: { query } }))).items;
    },
    apply: (trades, events) =>
      withTrades(
        trades,
        events.map((event) => event.data as Trade),
      ),
  };
}

/** The prints with newer ones on top; one that a snapshot already had is not shown twice. */
export function withTrades(trades: readonly Trade[], news: readonly Trade[]): readonly Trade[] {
  const known = new Set(trades.map(key));
  const fresh = news.slice(-KEPT).filter((trade) => !known.has(key(trade)));
  return fresh.length === 0 ? trades : [...fresh.reverse(), ...trades].slice(0, KEPT);
}

/** What tells prints apart where the exchange gives no id. */
export function key(trade: Trade): string {
  return trade.id ?? `${trade.at} ${trade.price} ${trade.quantity} ${trade.side}`;
}
