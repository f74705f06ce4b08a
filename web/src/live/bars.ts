import { answer, api } from "../api/client";
import type { Bar, Every } from "../api/types";
import type { Source } from "./resource";

/** Bars kept, newest; a chart screen shows a few hundred. */
const KEPT = 1_500;

/** Bars of a symbol, oldest first; the last one is still growing unless it says it is final. */
export function barsSource(symbol: string, every: Every): Source<readonly Bar[]> {
  return {
    topics: [`bars:${symbol}:${every}`],
    async load() {
      const query = { symbol, every, limit: 1000 };
      const list = await answer(api.GET("/api/v1/market/bars", { params: { query } }));
      return list.items;
    },
    apply: (bars, events) =>
      withBars(
        bars,
        events.map((event) => event.data as Bar),
      ),
  };
}

/** The bars with newer ones put in, by their start; a bar with fewer trades is an older view of it. */
export function withBars(bars: readonly Bar[], news: readonly Bar[]): readonly Bar[] {
  const result = [...bars];
  for (const bar of news) {
    const start = Date.parse(bar.start_at);
    let at = result.length;
    while (at > 0 && Date.parse(result[at - 1]?.start_at ?? "") > start) at -= 1;
    const before = result[at - 1];
    if (before && Date.parse(before.start_at) === start) {
      if (bar.trades >= before.trades) result[at - 1] = bar;
    } else {
      result.splice(at, 0, bar);
    }
  }
  return result.length > KEPT ? result.slice(-KEPT) : result;
}
