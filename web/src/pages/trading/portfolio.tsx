import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useCallback, useMemo, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { AccountSummary, EquityPoint, Portfolio as Figures, Span } from "../../api/types";
import { minus } from "../../format/decimal";
import { money } from "../../format/money";
import { percent } from "../../format/quantity";
import { dateTime, epochSeconds } from "../../format/time";
import { Choice } from "../../ui/controls";
import { Empty, Panel } from "../../ui/surface";
import { Tabs } from "../../ui/tabs";
import { Refusal } from "../refusal";
import { useAccount } from "../session";
import { Pnl } from "./pnl";
import { Positions } from "./positions";
import { ByBook, ByDay, BySymbol } from "./profits";
import { Reckoned } from "./reckoned";

const ValueCanvas = lazy(() => import("./value-canvas"));

const EVERY_MS = 5_000;

/** What the account is worth, was worth and earned; each number opens its formula. */
export function Portfolio() {
  const account = useAccount();
  if (!account) return <Empty>No account is granted to you.</Empty>;
  return <OfAccount key={account.id} account={account} />;
}

function OfAccount({ account }: { account: AccountSummary }) {
  const { by = "positions" } = useSearch({ from: "/portfolio" });
  const navigate = useNavigate({ from: "/portfolio" });
  const path = { id: account.id };
  const { data, error } = useQuery({
    queryKey: ["portfolio", account.id],
    queryFn: () => answer(api.GET("/api/v1/accounts/{id}/portfolio", { params: { path } })),
    refetchInterval: EVERY_MS,
  });
  const figures = { figures: data, currency: account.currency };
  return (
    <div className="flex flex-col gap-3">
      <h1 className="sr-only">Portfolio of {account.name}</h1>
      {error && !data && (
        <Refusal problem={problemOf(error)} title="The portfolio could not be loaded" />
      )}
      {data && <Headline figures={data} currency={account.currency} />}
      <div className="grid min-w-0 gap-3 xl:grid-cols-[minmax(0,1fr)_24rem]">
        <History account={account} />
        {data && (
          <div className="grid min-w-0 content-start gap-3 sm:grid-cols-2 xl:grid-cols-1">
            <Returns figures={data} currency={account.currency} />
            <Allocation figures={data} currency={account.currency} />
          </div>
        )}
      </div>
      <div className="min-w-0 rounded-lg border border-line bg-panel">
        <Tabs
          label="Parts of the portfolio"
          value={by}
          onChange={(next) => navigate({ search: (old) => ({ ...old, by: next as typeof by }) })}
          tabs={[
            { value: "positions", text: "Positions", content: <Positions account={account} /> },
            { value: "symbol", text: "By symbol", content: <BySymbol {...figures} /> },
            { value: "book", text: "By book", content: <ByBook {...figures} /> },
            { value: "day", text: "By day", content: <ByDay {...figures} /> },
          ]}
        />
      </div>
    </div>
  );
}

interface FiguresProps {
  figures: Figures;
  currency: string;
}

function Headline({ figures, currency }: FiguresProps) {
  const held = minus(figures.value, figures.cash);
  const figure = (
    of: string,
    name: string,
    value: ReactNode,
    values?: readonly (readonly [string, ReactNode])[],
  ) => (
    <div className="bg-panel px-3 py-2">
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="text-[0.9375rem] leading-6 font-semibold">
        <Reckoned of={of} values={values}>
          {value}
        </Reckoned>
      </dd>
    </div>
  );
  return (
    <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 lg:grid-cols-6">
      {figure("value", "Value", money(figures.value, currency), [
        ["Cash", money(figures.cash, currency)],
        ["Holdings", money(held, currency)],
        ["Value", money(figures.value, currency)],
      ])}
      {figure("cash", "Cash", money(figures.cash, currency))}
      {figure("deposits", "Paid in", money(figures.deposits, currency))}
      {figure("realised", "Realised", <Pnl amount={figures.realised} currency={currency} />, [
        ["Fees in it", money(figures.fees, currency)],
      ])}
      {figure("unrealised", "Unrealised", <Pnl amount={figures.unrealised} currency={currency} />)}
      {figure("fees", "Fees", money(figures.fees, currency))}
    </dl>
  );
}

const SPANS = [
  { value: "1m", text: "1 m" },
  { value: "1h", text: "1 h" },
  { value: "1d", text: "1 d" },
] as const;

const REFRESH_MS: Record<Span, number> = { "1m": 15_000, "1h": 60_000, "1d": 300_000 };

/** Value and profit over time, with what the pointer is on in words above. */
function History({ account }: { account: AccountSummary }) {
  const { span = "1m", book } = useSearch({ from: "/portfolio" });
  const navigate = useNavigate({ from: "/portfolio" });
  const { data, error } = useQuery({
    queryKey: ["history", account.id, span, book],
    queryFn: () =>
      answer(
        api.GET("/api/v1/accounts/{id}/history", {
          params: { path: { id: account.id }, query: { every: span, book_id: book } },
        }),
      ),
    refetchInterval: REFRESH_MS[span],
  });
  const [pointed, setPointed] = useState<number | null>(null);
  const onPoint = useCallback((at: number | null) => setPointed(at), []);
  const items = data?.items;
  const first = items?.[0];
  const points = useMemo(() => (items ?? []).map((one) => drawn(one, items?.[0] ?? one)), [items]);
  const point = items?.find((one) => epochSeconds(one.at) === pointed) ?? items?.at(-1);
  return (
    <Panel
      title="Value and profit"
      aside={
        <Choice
          label="Distance of the points"
          value={span}
          onChange={(next: Span) => navigate({ search: (old) => ({ ...old, span: next }) })}
          options={SPANS}
        />
      }
    >
      <p className="flex min-h-8 flex-wrap items-center gap-x-4 px-3 pt-1.5 text-xs">
        {point && first && (
          <>
            <span className="text-muted">{dateTime(point.at)}</span>
            <span>
              <span className="mr-1 inline-block h-0.5 w-4 bg-accent align-middle" />
              <span className="text-muted">Value</span> {money(point.equity, account.currency)}
            </span>
            <span>
              <span className="mr-1 inline-block w-4 border-t-2 border-dashed border-warn align-middle" />
              <span className="text-muted">Profit since the first point</span>{" "}
              <Reckoned
                of="profit"
                values={[
                  ["Value", money(point.equity, account.currency)],
                  [`Value at ${dateTime(first.at)}`, money(first.equity, account.currency)],
                  ["Paid in since", money(minus(point.flows, first.flows), account.currency)],
                ]}
              >
                <Pnl amount={profitOf(point, first)} currency={account.currency} />
              </Reckoned>
            </span>
          </>
        )}
      </p>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms, this groups a drawing */}
      <div
        role="group"
        aria-label="Chart of value and profit; the days stand in the table By day"
        className="relative min-h-64 min-w-0 flex-1 sm:min-h-80"
      >
        {error && !data ? (
          <div className="p-3">
            <Refusal problem={problemOf(error)} title="The history could not be loaded" />
          </div>
        ) : points.length === 0 ? (
          <Empty>{data ? "The first value is recorded within a minute." : "Loading…"}</Empty>
        ) : (
          <Suspense fallback={<p className="p-6 text-muted">Loading the chart…</p>}>
            <ValueCanvas points={points} onPoint={onPoint} />
          </Suspense>
        )}
      </div>
    </Panel>
  );
}

/** What was earned since the first point that is shown; money that came or went is no profit. */
function profitOf(point: EquityPoint, first: EquityPoint): string {
  return minus(minus(point.equity, first.equity), minus(point.flows, first.flows));
}

function drawn(point: EquityPoint, first: EquityPoint) {
  return { at: point.at, value: Number(point.equity), profit: Number(profitOf(point, first)) };
}

const PERIODS: Record<Figures["periods"][number]["period"], string> = {
  "1d": "1 day",
  "1w": "7 days",
  "1m": "30 days",
  "1y": "1 year",
  all: "All",
};

function Returns({ figures, currency }: FiguresProps) {
  const cell = (of: string, since: string | null, value: ReactNode) => (
    <td className="border-b border-line/60 px-2 py-1.5 text-right">
      <Reckoned of={of} values={since ? [["Since", dateTime(since)]] : undefined}>
        {value}
      </Reckoned>
    </td>
  );
  return (
    <Panel title="Returns">
      <section className="overflow-x-auto" aria-label="Returns">
        <table className="w-full whitespace-nowrap [&_:is(td,th):first-child]:pl-3 [&_:is(td,th):last-child]:pr-3">
          <thead>
            <tr className="text-right text-xs text-muted">
              <th scope="col" className="py-1.5 text-left font-medium">
                Over
              </th>
              <th scope="col" className="px-2 font-medium">
                Profit
              </th>
              <th scope="col" className="px-2 font-medium" title="Time-weighted">
                Time-w.
              </th>
              <th scope="col" className="px-2 font-medium" title="Money-weighted">
                Money-w.
              </th>
              <th scope="col" className="px-2 font-medium max-sm:hidden">
                Drawdown
              </th>
            </tr>
          </thead>
          <tbody>
            {figures.periods.map((one) => (
              <tr key={one.period}>
                <th scope="row" className="border-b border-line/60 py-1.5 text-left font-normal">
                  {PERIODS[one.period]}
                </th>
                {cell("profit", one.since, <Pnl amount={one.profit} currency={currency} />)}
                {cell("time_weighted", one.since, percent(one.time_weighted?.fraction ?? null))}
                {cell("money_weighted", one.since, percent(one.money_weighted?.fraction ?? null))}
                <td className="border-b border-line/60 px-2 py-1.5 text-right max-sm:hidden">
                  <Reckoned
                    of="drawdown"
                    values={[["Now", percent(one.drawdown ? -one.drawdown.now : null)]]}
                  >
                    {percent(one.drawdown ? -one.drawdown.maximum : null)}
                  </Reckoned>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </Panel>
  );
}

/** What the value consists of, largest first, as bars with their shares. */
function Allocation({ figures, currency }: FiguresProps) {
  const parts = [...figures.allocation].sort((a, b) => (b.fraction ?? 0) - (a.fraction ?? 0));
  return (
    <Panel title="Allocation">
      <ul className="flex flex-col gap-2.5 p-3">
        {parts.map((part) => (
          <li key={part.symbol ?? ""}>
            <p className="mb-1 flex justify-between gap-3">
              <span className="font-medium">{part.symbol ?? "Cash"}</span>
              <span>
                <span className="mr-3 text-muted">{money(part.value, currency)}</span>
                <Reckoned
                  of="allocation"
                  values={[
                    ["Part", money(part.value, currency)],
                    ["Value", money(figures.value, currency)],
                  ]}
                >
                  {share(part.fraction)}
                </Reckoned>
              </span>
            </p>
            <div className="h-1.5 rounded-full bg-ground">
              <div
                className={`h-full rounded-full ${part.symbol === null ? "bg-balanced" : (part.fraction ?? 0) < 0 ? "bg-down" : "bg-accent"}`}
                style={{ width: `${Math.min(1, Math.abs(part.fraction ?? 0)) * 100}%` }}
              />
            </div>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** A share without a plus: it is no change. */
function share(fraction: number | null): string {
  return percent(fraction).replace(/^\+/, "");
}
