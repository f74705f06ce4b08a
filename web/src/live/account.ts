import { answer, api } from "../api/client";
import type { AccountDetail, Position } from "../api/types";
import type { Source } from "./resource";

/** Cash, equity and buying power of an account. */
export function accountSource(accountId: string): Source<AccountDetail> {
  return {
    topics: [`account:${accountId}`],
    load: () => answer(api.GET("/api/v1/accounts/{id}", { params: { path: { id: accountId } } })),
    apply(account, events) {
      let known = account;
      for (const event of events) {
        const next = event.data as AccountDetail;
        if (next.as_of_at >= known.as_of_at) known = { ...known, ...next };
      }
      return known;
    },
  };
}

/** What the account holds, by symbol; a position that was closed stays, with quantity zero. */
export function positionsSource(accountId: string): Source<readonly Position[]> {
  return {
    topics: [`positions:${accountId}`],
    async load() {
      const path = { id: accountId };
      const list = await answer(api.GET("/api/v1/accounts/{id}/positions", { params: { path } }));
      return list.items;
    },
    apply: (positions, events) => {
      const bySymbol = new Map(positions.map((one) => [one.symbol, one]));
      for (const event of events) {
        const next = event.data as Position;
        const known = bySymbol.get(next.symbol);
        if (!known || next.as_of_at >= known.as_of_at) bySymbol.set(next.symbol, next);
      }
      return [...bySymbol.values()].sort((a, b) => a.symbol.localeCompare(b.symbol));
    },
  };
}
