import { useSuspenseQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useMemo } from "react";
import { market } from "../../live/desk";
import { loadSymbols } from "../../live/market";
import { useResource } from "../../live/resource";
import { Empty, Panel } from "../../ui/surface";
import { ChartPanel } from "../market/chart-panel";
import { SymbolList } from "../market/symbol-list";
import { useAccount } from "../session";
import { AccountStrip } from "./account-strip";
import { OrderTicket } from "./order-ticket";

/** Below the fold at first, so not in the way of the first paint. */
const Below = lazy(() => import("./below"));

/** The desk: what the market does, what we hold, and the ticket. */
export function Desk() {
  const account = useAccount();
  const { symbol: wanted, every = "1s" } = useSearch({ from: "/" });
  const navigate = useNavigate({ from: "/" });
  const known = useSuspenseQuery({ queryKey: ["symbols"], queryFn: loadSymbols }).data;
  const names = useMemo(() => known.map((one) => one.symbol), [known]);
  const symbols = useResource(market(names)).state ?? known;
  const symbol = symbols.find((one) => one.symbol === wanted) ?? symbols[0];

  return (
    <div className="flex flex-col gap-3">
      <h1 className="sr-only">Desk</h1>
      {account && <AccountStrip account={account} />}
      {symbol === undefined ? (
        <Empty>The market has no symbols yet. They appear when the feed delivers.</Empty>
      ) : (
        <div className="grid min-w-0 gap-3 max-md:grid-cols-[minmax(0,1fr)] md:grid-cols-[minmax(0,1fr)_19rem] md:grid-rows-[auto_auto_1fr] xl:grid-cols-[14rem_minmax(0,1fr)_20rem] xl:grid-rows-[auto_1fr]">
          <Panel title="Symbols" className="md:max-xl:col-span-2 xl:row-span-2">
            <SymbolList
              symbols={symbols}
              chosen={symbol.symbol}
              onChoose={(next) => navigate({ search: (old) => ({ ...old, symbol: next }) })}
            />
          </Panel>
          <ChartPanel
            symbol={symbol}
            every={every}
            onEvery={(next) => navigate({ search: (old) => ({ ...old, every: next }) })}
            account={account}
          />
          <div className="min-w-0 md:row-span-2">
            {account ? <OrderTicket account={account} symbol={symbol} /> : <NoAccount />}
          </div>
          <Suspense fallback={<Panel title="Loading…">{null}</Panel>}>
            <Below account={account} symbol={symbol.symbol} every={every} />
          </Suspense>
        </div>
      )}
    </div>
  );
}

function NoAccount() {
  return (
    <Panel title="No account">
      <p className="px-3 py-6 text-muted">
        No account is granted to you. Whoever manages users can grant one.
      </p>
    </Panel>
  );
}
