import { type AutoscaleInfo, HistogramSeries, type IChartApi } from "lightweight-charts";
import type { Bar } from "../api/types";
import { colour } from "../ui/theme";
import { barTime, type Layer } from "./layer";
import { buyShare, PRESSURES, type Pressure, pressure } from "./pressure";

/** Custom properties of the five pressures, sold to bought. */
const COLOURS: Record<Pressure, [property: string, opacity: number]> = {
  "strong selling": ["--down", 0.95],
  selling: ["--down", 0.5],
  balanced: ["--chart-balanced", 0.6],
  buying: ["--up", 0.5],
  "strong buying": ["--up", 0.95],
};

/** The colour of a pressure on the page's present theme. */
export function pressureColour(word: Pressure): string {
  const [property, opacity] = COLOURS[word];
  const channels =
    colour(property)
      .match(/[\d.]+/g)
      ?.slice(0, 3) ?? [];
  return `rgba(${channels.join(", ")}, ${opacity})`;
}

/** Volume on its own axis at the left, in the colour of who was pressing: buyers or sellers. */
export function addVolume(chart: IChartApi): Layer {
  let highest = 0;
  const series = chart.addSeries(HistogramSeries, {
    priceScaleId: "left",
    // The axis runs up beside the candles, where there is no volume to read; its zero is a float.
    priceFormat: {
      type: "custom",
      minMove: 0.0001,
      formatter: (v: number) => (v > highest ? "" : short(v < highest / 1e6 ? 0 : v)),
    },
    autoscaleInfoProvider(original: () => AutoscaleInfo | null) {
      const info = original();
      highest = info?.priceRange?.maxValue ?? 0;
      return info;
    },
    lastValueVisible: false,
    priceLineVisible: false,
  });
  series.priceScale().applyOptions({ scaleMargins: { top: 0.78, bottom: 0 } });
  let colours = palette();
  const point = (bar: Bar) => ({
    time: barTime(bar),
    value: Number(bar.volume),
    color: colours[pressure(buyShare(bar))],
  });
  return {
    set: (bars) => series.setData(bars.map(point)),
    update: (bar) => series.update(point(bar)),
    recolour() {
      colours = palette();
    },
  };
}

/** An axis number in as few digits as tell it from its neighbours. */
function short(value: number): string {
  if (value >= 1e6) return `${+(value / 1e6).toFixed(2)}M`;
  if (value >= 1e3) return `${+(value / 1e3).toFixed(2)}k`;
  return String(+value.toPrecision(3));
}

function palette(): Record<Pressure, string> {
  return Object.fromEntries(PRESSURES.map((word) => [word, pressureColour(word)])) as Record<
    Pressure,
    string
  >;
}
