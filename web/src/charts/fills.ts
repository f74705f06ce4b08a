import {
  createSeriesMarkers,
  type ISeriesApi,
  type SeriesMarker,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";
import type { Every, Fill } from "../api/types";
import { epochSeconds } from "../format/time";
import { colour } from "../ui/theme";

const SECONDS: Record<Every, number> = { "1s": 1, "1m": 60 };

/** Our own fills as arrows at their bar: up and below for a buy, down and above for a sell. */
export function addFills(series: ISeriesApi<"Candlestick">, every: Every) {
  const markers = createSeriesMarkers<Time>(series, []);
  let drawn: readonly Fill[] = [];
  const set = (fills: readonly Fill[]) => {
    drawn = fills;
    const ink = colour("--ink");
    const points = fills.map((fill): SeriesMarker<Time> => {
      const at = epochSeconds(fill.at);
      const time = (at - (at % SECONDS[every])) as UTCTimestamp;
      return fill.side === "buy"
        ? { time, position: "belowBar", shape: "arrowUp", color: ink }
        : { time, position: "aboveBar", shape: "arrowDown", color: ink };
    });
    markers.setMarkers(points.sort((a, b) => Number(a.time) - Number(b.time)));
  };
  return { set, recolour: () => set(drawn) };
}
