import { useEffect, useRef } from "react";
import type { Bar, Every, Fill } from "../../api/types";
import { drawPriceChart, type PriceChart } from "../../charts/price-chart";
import type { Resource } from "../../live/resource";

interface PriceCanvasProps {
  bars: Resource<readonly Bar[]>;
  every: Every;
  /** One step of the price. */
  increment: string;
  fills: readonly Fill[];
  onPoint(at: number | null): void;
}

/** The chart itself, drawn beside React: it hears the bars directly, once a frame. */
export default function PriceCanvas({ bars, every, increment, fills, onPoint }: PriceCanvasProps) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<PriceChart | null>(null);

  useEffect(() => {
    if (!box.current) return;
    const drawn = drawPriceChart(box.current, every, increment);
    chart.current = drawn;
    drawn.onPoint(onPoint);
    const draw = () => drawn.bars(bars.get().state ?? []);
    const leave = bars.subscribe(draw);
    draw();
    return () => {
      leave();
      drawn.remove();
      chart.current = null;
    };
  }, [bars, every, increment, onPoint]);

  // After the effect above, so that a new chart gets the fills too.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a chart that was drawn anew has none
  useEffect(() => chart.current?.fills(fills), [fills, bars, every, increment]);

  // The canvases inside have z-indexes; isolated, they cannot rise above a dialog.
  return <div ref={box} className="isolate h-full w-full" />;
}
