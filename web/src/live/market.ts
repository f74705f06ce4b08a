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
  // The day's reference price stays while the last price moves: change = last / reference - 1.
  const reference = Number(one.last_price) / (1 + Number(one.change_24h));
  const change = one.change_24h == null ? null : String(Number(trade.price) / reference - 1);
  return { ...one, last_price: trade.price, last_at: trade.at, change_24h: change };
}

function withQuote(one: MarketSymbol, quote: Quote): MarketSymbol {
  if (one.quote_at != null && quote.at < one.quote_at) return one;
  const { bid, bid_size, ask, ask_size, at: quote_at } = quote;
  return { ...one, bid, bid_size, ask, ask_size, quote_at };
}
