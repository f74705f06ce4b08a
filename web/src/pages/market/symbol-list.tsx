import { useEffect, useRef } from "react";
import type { MarketSymbol } from "../../api/types";
import { price } from "../../format/money";
import { percent } from "../../format/quantity";
import { change24h } from "../../live/market";
import { ArrowDown, ArrowUp } from "../../ui/icons";

interface SymbolListProps {
  symbols: readonly MarketSymbol[];
  /** The same symbols as a snapshot had them, for the change over a day. */
  snapshot: readonly MarketSymbol[];
  chosen: string;
  onChoose(symbol: string): void;
}

/** The symbols with their last prices: a column beside the chart, a row above it where it is narrow. */
export function SymbolList({ symbols, snapshot, chosen, onChoose }: SymbolListProps) {
  return (
    <ul className="scroll-fade flex max-xl:overflow-x-auto xl:flex-col">
      {symbols.map((one) => (
        <li key={one.symbol} className="max-xl:min-w-44 max-xl:border-r max-xl:border-line">
          <button
            type="button"
            aria-pressed={one.symbol === chosen}
            onClick={() => onChoose(one.symbol)}
            className={`grid min-h-14 w-full grid-cols-[1fr_auto] items-baseline gap-x-3 border-line px-3 py-2 text-left focus-visible:outline-offset-[-2px] xl:border-b ${
              one.symbol === chosen
                ? "bg-raised shadow-[inset_3px_0_0_var(--accent)]"
                : "hover:bg-raised/60"
            }`}
          >
            <span className="font-semibold">{one.symbol}</span>
            <LastPrice symbol={one} />
            <span className="text-xs text-muted">24 h</span>
            <Change
              fraction={change24h(
                one,
                snapshot.find((other) => other.symbol === one.symbol),
              )}
            />
          </button>
        </li>
      ))}
    </ul>
  );
}

/** The last price, lit for a moment when it moves. */
function LastPrice({ symbol }: { symbol: MarketSymbol }) {
  const box = useRef<HTMLSpanElement>(null);
  const before = useRef(symbol.last_price);
  useEffect(() => {
    const [was, is] = [Number(before.current), Number(symbol.last_price)];
    before.current = symbol.last_price;
    if (!was || was === is || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const lit = `color-mix(in srgb, var(${is > was ? "--up" : "--down"}) 28%, transparent)`;
    box.current?.animate([{ backgroundColor: lit }, { backgroundColor: "transparent" }], 600);
  }, [symbol.last_price]);
  return (
    <span
      ref={box}
      data-last-price={symbol.symbol}
      className="rounded px-0.5 text-right font-medium"
    >
      {price(symbol.last_price, symbol.price_increment)}
    </span>
  );
}

/** A change with arrow, sign and colour. */
export function Change({ fraction }: { fraction: number | null }) {
  const up = fraction !== null && fraction > 0;
  const down = fraction !== null && fraction < 0;
  return (
    <span
      className={`inline-flex items-center justify-end gap-0.5 text-xs ${up ? "text-up" : down ? "text-down" : "text-muted"}`}
    >
      {up && <ArrowUp className="size-3" />}
      {down && <ArrowDown className="size-3" />}
      {percent(fraction)}
    </span>
  );
}
