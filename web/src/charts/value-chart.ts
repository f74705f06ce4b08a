import {
  AreaSeries,
  createChart,
  type IChartApi,
  LineSeries,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";
import { epochSeconds } from "../format/time";
import { colour, onThemeChange } from "../ui/theme";
import { chartColours, localTime, tick } from "./look";

/** What an account was worth at a moment, and what it had earned until then. Numbers for drawing, not for reckoning. */
export interface ValuePoint {
  at: string;
  value: number;
  profit: number;
}

/** The value of an account as an area on the right axis, its profit as a line on the left one. */
export interface ValueChart {
  points(points: readonly ValuePoint[]): void;
  onPoint(tell: (at: number | null) => void): void;
  remove(): void;
}

/** Draws into the box; reads the colours of the page, and again when they change. */
export function drawValueChart(box: HTMLElement): ValueChart {
  const chart: IChartApi = createChart(box, {
    autoSize: true,
    // The duty to name the makers is met on the page "About": the logo would break the page's policy.
    layout: { attributionLogo: false },
    // The profit below the value: with no money coming or going both lines have one shape.
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.06, bottom: 0.36 } },
    leftPriceScale: {
      visible: true,
      borderVisible: false,
      scaleMargins: { top: 0.1, bottom: 0.1 },
    },
    timeScale: { timeVisible: true, borderVisible: false, tickMarkFormatter: tick },
    localization: { timeFormatter: (time: Time) => localTime(time).toLocaleString("en-GB") },
    handleScroll: { vertTouchDrag: false },
  });
  const value = chart.addSeries(AreaSeries, { lineWidth: 2, priceLineVisible: false });
  const profit = chart.addSeries(LineSeries, {
    priceScaleId: "left",
    lineWidth: 2,
    // Told apart by more than its colour.
    lineStyle: 2,
    priceLineVisible: false,
  });
  const recolour = () => {
    chart.applyOptions(chartColours());
    const accent = colour("--accent");
    const faint = colour("--panel");
    value.applyOptions({ lineColor: accent, topColor: faint, bottomColor: faint });
    profit.applyOptions({ color: colour("--warn") });
  };
  recolour();
  const stopThemes = onThemeChange(recolour);
  let drawn = 0;
  return {
    points(points) {
      const series = (of: "value" | "profit") =>
        points.map((point) => ({ time: seconds(point.at), value: point[of] }));
      value.setData(series("value"));
      profit.setData(series("profit"));
      if (drawn === 0 || points.length < drawn) chart.timeScale().fitContent();
      drawn = points.length;
    },
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

function seconds(at: string): UTCTimestamp & Time {
  return epochSeconds(at) as UTCTimestamp & Time;
}
