import { useEffect, useRef } from "react";
import { drawValueChart, type ValueChart, type ValuePoint } from "../../charts/value-chart";

interface ValueCanvasProps {
  points: readonly ValuePoint[];
  onPoint(at: number | null): void;
}

/** The chart of a portfolio's value, drawn beside React. */
export default function ValueCanvas({ points, onPoint }: ValueCanvasProps) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<ValueChart | null>(null);
  useEffect(() => {
    if (!box.current) return;
    const drawn = drawValueChart(box.current);
    drawn.onPoint(onPoint);
    chart.current = drawn;
    return () => {
      drawn.remove();
      chart.current = null;
    };
  }, [onPoint]);
  useEffect(() => chart.current?.points(points), [points]);
  return <div ref={box} className="absolute inset-0 isolate" />;
}
