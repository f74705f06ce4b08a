import type { MarketSymbol } from "../../api/types";
import { price } from "../../format/money";
import { volume } from "../../format/quantity";
import { clock } from "../../format/time";
import { tape } from "../../live/desk";
import { useResource } from "../../live/resource";
import { key } from "../../live/tape";
import { ArrowDown, ArrowUp } from "../../ui/icons";
import { Panel } from "../../ui/surface";

/** The last prints, newest on top, with the side that crossed the spread. Only where there is room. */
export function Tape({ symbol }: { symbol: MarketSymbol }) {
  const { state } = useResource(tape(symbol.symbol));
  return (
    <Panel title="Last trades" className="min-h-40 flex-1 max-xl:hidden">
      {/* As high as the column leaves it, never pushing the page down. */}
      <div className="relative flex-1">
        <ul className="absolute inset-0 overflow-hidden px-3 py-1.5 text-xs leading-6">
          {state?.map((trade) => (
            <li key={key(trade)} className="flex gap-2">
              <span className="text-muted">{clock(trade.at)}</span>
              <Crossed side={trade.side} />
              <span className="flex-1 text-right">
                {price(trade.price, symbol.price_increment)}
              </span>
              <span className="w-14 truncate text-right text-muted">{volume(trade.quantity)}</span>
            </li>
          ))}
        </ul>
      </div>
    </Panel>
  );
}

function Crossed({ side }: { side: "buy" | "sell" | "unknown" }) {
  if (side === "unknown") return <span className="w-3" />;
  const Arrow = side === "buy" ? ArrowUp : ArrowDown;
  return (
    <span className={`inline-flex items-center ${side === "buy" ? "text-up" : "text-down"}`}>
      <Arrow className="size-3" />
      <span className="sr-only">{side === "buy" ? "bought" : "sold"}</span>
    </span>
  );
}
