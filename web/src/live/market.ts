import { answer, api } from "../api/client";
import type { MarketSymbol, Trade } from "../api/types";
import type { Source } from "./resource";
import type { StreamEvent } from "./stream";

interface Quote {
  bid: string;
  bid_size: string;
  ask: string;
  ask_size: string;
  at: string;
}

/** Every symbol with its last price and quote. */
export function marketSource(symbols: readonly string[]): Source<readonly MarketSymbol[]> {
  return {
    topics: symbols.flatMap((symbol) => [`trades:${symbol}`, `quotes:${symbol}`]),
    load: loadSymbols,
    apply: withEvents,
  };
}

/** The symbols of the market, by REST. */
export async function loadSymbols(): Promise<readonly MarketSymbol[]> {
  return (await answer(api.GET("/api/v1/market/symbols"))).items;
}

/**
 * Change over 24 hours as a fraction: of the live price against the reference that a snapshot had.
 *
 * The stream does not carry the reference; it moves slowly, the last price does not.
 */
export function change24h(live: MarketSymbol, snapshot: MarketSymbol | undefined): number | null {
  if (snapshot?.last_price == null || snapshot.change_24h == null || live.last_price == null)
    return null;
  const reference = Number(snapshot.last_price) / (1 + Number(snapshot.change_24h));
  return reference > 0 ? Number(live.last_price) / reference - 1 : null;
}

function withEvents(
  symbols: readonly MarketSymbol[],
  events: readonly StreamEvent[],
): readonly MarketSymbol[] {
  const bySymbol = new Map(symbols.map((one) => [one.symbol, one]));
  for (const { topic, data } of events) {
    const colon = topic.indexOf(":");
    const one = bySymbol.get(topic.slice(colon + 1));
    if (!one) continue;
    bySymbol.set(
      one.symbol,
      topic.startsWith("trades:") ? withTrade(one, data as Trade) : withQuote(one, data as Quote),
    );
  }
  return symbols.map((one) => bySymbol.get(one.symbol) ?? one);
}

function withTrade(one: MarketSymbol, trade: Trade): MarketSymbol {
  if (one.last_at != null && trade.at < one.last_at) return one;
  return { ...one, last_price: trade.price, last_at: trade.at };
}

function withQuote(one: MarketSymbol, quote: Quote): MarketSymbol {
  if (one.quote_at != null && quote.at < one.quote_at) return one;
  const { bid, bid_size, ask, ask_size, at: quote_at } = quote;
  return { ...one, bid, bid_size, ask, ask_size, quote_at };
}
