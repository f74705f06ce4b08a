import { CandlestickSeries, type IChartApi } from "lightweight-charts";
import type { Bar } from "../api/types";
import { scale } from "../format/decimal";
import { colour } from "../ui/theme";
import { barTime, type Layer } from "./layer";

/** Candles, hollow when the price rose and full when it fell, so that colour is not the only sign. Prices have as many digits as `increment`, one step of them. */
export function addCandles(chart: IChartApi, increment: string) {
  const series = chart.addSeries(CandlestickSeries, {
    priceScaleId: "right",
    priceLineStyle: 2,
    priceFormat: { type: "price", precision: scale(increment), minMove: Number(increment) },
  });
  // Pixels, not orders: here, and only here, a price becomes a float.
  const point = (bar: Bar) => ({
    time: barTime(bar),
    open: Number(bar.open),
    high: Number(bar.high),
    low: Number(bar.low),
    close: Number(bar.close),
  });
  const layer: Layer = {
    set: (bars) => series.setData(bars.map(point)),
    update: (bar) => series.update(point(bar)),
    recolour() {
      const [up, down] = [colour("--up"), colour("--down")];
      series.applyOptions({
        // Else the line takes the colour of a hollow candle's inside, which nobody would see.
        priceLineColor: colour("--line-strong"),
        upColor: colour("--panel"),
        borderUpColor: up,
        wickUpColor: up,
        downColor: down,
        borderDownColor: down,
        wickDownColor: down,
      });
    },
  };
  layer.recolour();
  return { series, ...layer };
}
