import { TickMarkType, type Time } from "lightweight-charts";
import { clock } from "../format/time";
import { colour } from "../ui/theme";

/** What all charts have in common: the colours of the page, read anew on each call, as a canvas cannot follow them. */
export function chartColours() {
  const line = colour("--line");
  const label = { labelBackgroundColor: colour("--line-strong") };
  return {
    layout: {
      background: { color: colour("--panel") },
      textColor: colour("--muted"),
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
    },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    crosshair: { vertLine: label, horzLine: label },
  };
}

/** The time of a point, in the zone of whoever looks. */
export function localTime(time: Time): Date {
  return new Date(Number(time) * 1000);
}

/** A mark of the time axis: the day where a day begins, else the time. */
export function tick(time: Time, kind: TickMarkType): string {
  const date = localTime(time);
  const text = clock(date.toISOString());
  if (kind === TickMarkType.TimeWithSeconds) return text;
  if (kind === TickMarkType.Time) return text.slice(0, 5);
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}
