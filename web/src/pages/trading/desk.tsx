import { queryOptions, useSuspenseQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { market } from "../../live/desk";
import { loadSymbols } from "../../live/market";
import { useResource } from "../../live/resource";
import { Empty, Panel } from "../../ui/surface";
import { ChartPanel } from "../market/chart-panel";
import { SymbolList } from "../market/symbol-list";
import { Tape } from "../market/tape";
import { useAccount, useMay } from "../session";
import { AccountStrip } from "./account-strip";
import { OrderTicket } from "./order-ticket";

/** Below the fold at first, so not in the way of the first paint. */
const Below = lazy(() => import("./below"));

/** New symbols and the day's references, which the stream does not carry. */
const symbolsQuery = queryOptions({
  queryKey: ["symbols"],
  queryFn: loadSymbols,
  refetchInterval: 10_000,
});

/** The desk, for those who may see the market. */
export function Desk() {
  const may = useMay("market.view");
  if (may) return <Market />;
  return (
    <Panel title={<h1>Desk</h1>}>
      <p className="px-3 py-6 text-muted">Your roles do not show the market.</p>
    </Panel>
  );
}

/** The desk: what the market does, what we hold, and the ticket. */
function Market() {
  const account = useAccount();
  const { symbol: wanted, every = "1s" } = useSearch({ from: "/" });
  const navigate = useNavigate({ from: "/" });
  const known = useSuspenseQuery(symbolsQuery).data;
  const names = known.map((one) => one.symbol);
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
          <div className="flex min-w-0 flex-col gap-3 md:max-xl:col-span-2 xl:row-span-2">
            <Panel title="Symbols">
              <SymbolList
                symbols={symbols}
                snapshot={known}
                chosen={symbol.symbol}
                onChoose={(next) => navigate({ search: (old) => ({ ...old, symbol: next }) })}
              />
            </Panel>
            <Tape symbol={symbol} />
          </div>
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
