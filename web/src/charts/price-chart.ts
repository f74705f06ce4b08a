import { createChart, type Time } from "lightweight-charts";
import type { Bar, Every, Fill } from "../api/types";
import { onThemeChange } from "../ui/theme";
import { addCandles } from "./candles";
import { addFills } from "./fills";
import { barTime } from "./layer";
import { chartColours, localTime, tick } from "./look";
import { addVolume } from "./volume";

/** Candles, volume by pressure and own fills in one box of the page. */
export interface PriceChart {
  /** Draws what changed since the last call. */
  bars(bars: readonly Bar[]): void;
  fills(fills: readonly Fill[]): void;
  /** Tells which bar the pointer is on, null when on none. */
  onPoint(tell: (at: number | null) => void): void;
  remove(): void;
}

/** Puts a chart into `box` and keeps it to the box's size. */
export function drawPriceChart(box: HTMLElement, every: Every, increment: string): PriceChart {
  const chart = createChart(box, {
    autoSize: true,
    // The logo needs inline styles and HTML, which the page's policy refuses; the attribution that
    // the licence asks for is on the About page.
    layout: { attributionLogo: false },
    rightPriceScale: {
      visible: true,
      borderVisible: false,
      scaleMargins: { top: 0.06, bottom: 0.26 },
    },
    leftPriceScale: { visible: true, borderVisible: false },
    timeScale: {
      timeVisible: true,
      secondsVisible: every === "1s",
      borderVisible: false,
      rightOffset: 4,
      barSpacing: 8,
      tickMarkFormatter: tick,
    },
    localization: { timeFormatter: (time: Time) => localTime(time).toLocaleString("en-GB") },
    handleScroll: { vertTouchDrag: false },
  });
  const candles = addCandles(chart, increment);
  const volume = addVolume(chart);
  const layers = [candles, volume];
  const fills = addFills(candles.series, every);
  let drawn: readonly Bar[] = [];

  const stopThemes = onThemeChange(() => {
    chart.applyOptions(chartColours());
    for (const layer of layers) {
      layer.recolour();
      layer.set(drawn);
    }
    fills.recolour();
  });
  chart.applyOptions(chartColours());

  return {
    bars(bars) {
      const from = firstToUpdate(drawn, bars);
      drawn = bars;
      for (const layer of layers) {
        if (from === null) layer.set(bars);
        else for (const bar of bars.slice(from)) layer.update(bar);
      }
    },
    fills: (list) => fills.set(list),
    onPoint: (tell) =>
      chart.subscribeCrosshairMove((move) =>
        tell(move.time === undefined ? null : Number(move.time)),
      ),
    remove() {
      stopThemes();
      chart.remove();
    },
  };
}

/**
 * Index of the first bar that differs from what is drawn, when only the end changed; null when the
 * whole has to be drawn. A chart can change its last bar and append, nothing before.
 */
export function firstToUpdate(drawn: readonly Bar[], bars: readonly Bar[]): number | null {
  const last = drawn.at(-1);
  if (!last) return null;
  let from = bars.length;
  while (from > 0 && barTime(bars[from - 1] as Bar) >= barTime(last)) from -= 1;
  const held = bars[from];
  if (!held || barTime(held) !== barTime(last)) return null;
  // The bar before it must be the very one that was drawn, or something changed further back.
  return bars[from - 1] === drawn.at(-2) ? from : null;
}
