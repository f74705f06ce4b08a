import type { UTCTimestamp } from "lightweight-charts";
import type { Bar } from "../api/types";
import { epochSeconds } from "../format/time";

/** One thing drawn from bars. A chart is a list of these. */
export interface Layer {
  /** Draws all bars anew. */
  set(bars: readonly Bar[]): void;
  /** Draws one bar, the last one or one after it. */
  update(bar: Bar): void;
  /** Reads the colours of the page again; the bars are set anew after it. */
  recolour(): void;
}

/** The bar's start, as the chart wants it. */
export function barTime(bar: Bar): UTCTimestamp {
  return epochSeconds(bar.start_at) as UTCTimestamp;
}
