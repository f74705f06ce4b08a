import { UNKNOWN } from "./money";

/** Local wall time: `14:03:07`. */
export function clock(at: string | null | undefined): string {
  const date = parse(at);
  return date ? date.toLocaleTimeString("en-GB") : UNKNOWN;
}

/** Local date and time, sortable: `2026-11-21 14:03:07`. */
export function dateTime(at: string | null | undefined): string {
  const date = parse(at);
  if (!date) return UNKNOWN;
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${date.toLocaleTimeString("en-GB")}`;
}

/** How long ago, short enough for the header: `0.4 s`, `12 s`, `3 min`, `2 h`, `5 d`. */
export function age(ms: number): string {
  const past = Math.max(0, ms);
  if (past < 10_000) return `${(Math.floor(past / 100) / 10).toFixed(1)} s`;
  if (past < 120_000) return `${Math.floor(past / 1000)} s`;
  if (past < 7_200_000) return `${Math.floor(past / 60_000)} min`;
  if (past < 172_800_000) return `${Math.floor(past / 3_600_000)} h`;
  return `${Math.floor(past / 86_400_000)} d`;
}

/** Seconds since 1970 UTC, as the chart counts time. */
export function epochSeconds(at: string): number {
  return Math.floor(Date.parse(at) / 1000);
}

function parse(at: string | null | undefined): Date | null {
  if (at == null) return null;
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? null : date;
}
