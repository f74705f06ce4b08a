import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useCallback, useState } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary, Bar, Every, MarketSymbol } from "../../api/types";
import { buyShare, PRESSURES, type Pressure, pressure } from "../../charts/pressure";
import { price } from "../../format/money";
import { volume } from "../../format/quantity";
import { clock, epochSeconds } from "../../format/time";
import { bars as barsOf } from "../../live/desk";
import { useResource } from "../../live/resource";
import { Choice } from "../../ui/controls";
import { Notice, Panel } from "../../ui/surface";

const PriceCanvas = lazy(() => import("./price-canvas"));

interface ChartPanelProps {
  symbol: MarketSymbol;
  every: Every;
  onEvery(every: Every): void;
  account: AccountSummary | undefined;
}

/** Candles and volume of a symbol, with what the pointer is on in words above. */
export function ChartPanel({ symbol, every, onEvery, account }: ChartPanelProps) {
  const resource = barsOf(symbol.symbol, every);
  const { state, problem } = useResource(resource);
  const fills = useQuery({
    queryKey: ["fills", account?.id, symbol.symbol],
    queryFn: () =>
      answer(
        api.GET("/api/v1/fills", {
          params: { query: { account_id: account?.id ?? "", symbol: symbol.symbol, limit: 200 } },
        }),
      ),
    enabled: account !== undefined,
  });
  const [pointed, setPointed] = useState<number | null>(null);
  const onPoint = useCallback((at: number | null) => setPointed(at), []);
  const bar =
    (pointed !== null && state?.findLast((one) => epochSeconds(one.start_at) === pointed)) ||
    state?.at(-1);

  return (
    <Panel
      title={
        <span className="flex items-baseline gap-2">
          {symbol.symbol}
          <span className="text-base">{price(symbol.last_price, symbol.price_increment)}</span>
        </span>
      }
      aside={
        <Choice
          label="Bar length"
          value={every}
          onChange={onEvery}
          options={[
            { value: "1s", text: "1 s" },
            { value: "1m", text: "1 m" },
          ]}
        />
      }
    >
      <Legend bar={bar} increment={symbol.price_increment} />
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms, this groups a drawing */}
      <div
        role="group"
        aria-label={`Candle chart of ${symbol.symbol} with volume; the same bars are in the table below`}
        className="h-72 min-w-0 sm:h-96 xl:h-[26rem]"
      >
        {problem && !state ? (
          <div className="p-3">
            <Notice tone="bad" title="The bars could not be loaded">
              {problem.detail}
            </Notice>
          </div>
        ) : (
          <Suspense fallback={<p className="p-6 text-muted">Loading the chart…</p>}>
            <PriceCanvas
              bars={resource}
              every={every}
              increment={symbol.price_increment}
              fills={fills.data?.items ?? NO_FILLS}
              onPoint={onPoint}
            />
          </Suspense>
        )}
      </div>
      <Key />
    </Panel>
  );
}

const NO_FILLS: never[] = [];

function Legend({ bar, increment }: { bar: Bar | undefined; increment: string }) {
  const share = bar ? buyShare(bar) : null;
  const part = (name: string, text: string) => (
    <span className="whitespace-nowrap">
      <span className="text-muted">{name}</span> {text}
    </span>
  );
  return (
    <p className="flex min-h-8 flex-wrap items-center gap-x-3 px-3 pt-1.5 text-xs">
      {bar && (
        <>
          <span className="text-muted">{clock(bar.start_at)}</span>
          {part("O", price(bar.open, increment))}
          {part("H", price(bar.high, increment))}
          {part("L", price(bar.low, increment))}
          {part("C", price(bar.close, increment))}
          {part("Vol", volume(bar.volume))}
          <span className="whitespace-nowrap">
            <span className="text-muted">Bought</span>{" "}
            {share === null ? "–" : `${Math.round(share * 100)} %, ${pressure(share)}`}
          </span>
        </>
      )}
    </p>
  );
}

const SWATCHES: Record<Pressure, string> = {
  "strong selling": "bg-down",
  selling: "bg-down/50",
  balanced: "bg-balanced/60",
  buying: "bg-up/50",
  "strong buying": "bg-up",
};

/** What the colours and shapes of the chart mean. */
function Key() {
  return (
    <ul className="flex flex-wrap gap-x-4 gap-y-1 border-t border-line px-3 py-2 text-2xs text-muted">
      <li className="flex items-center gap-1.5">
        <span className="h-3 w-2 border border-up" /> rose (hollow)
      </li>
      <li className="flex items-center gap-1.5">
        <span className="h-3 w-2 bg-down" /> fell (full)
      </li>
      <li className="flex items-center gap-1.5">
        volume (left axis):
        {PRESSURES.map((word) => (
          <span key={word} className="flex items-center gap-1" title={word}>
            <span className={`size-2.5 rounded-xs ${SWATCHES[word]}`} />
            <span className={word === "balanced" || word.startsWith("strong") ? "" : "sr-only"}>
              {word}
            </span>
          </span>
        ))}
      </li>
      <li>▲▼ own fills</li>
    </ul>
  );
}
