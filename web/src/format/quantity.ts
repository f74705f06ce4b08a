import { group } from "./decimal";
import { UNKNOWN } from "./money";

/** Units of an instrument, all digits that matter: `0.5`, `1,200`. */
export function quantity(value: string | null | undefined): string {
  return value == null ? UNKNOWN : group(value, 0, 18);
}

/** A volume for narrow columns, rounded to four digits after the point. */
export function volume(value: string | null | undefined): string {
  return value == null ? UNKNOWN : group(value, 0, 4);
}

/** A count of things: `12,034`. */
export function count(value: number): string {
  return group(String(Math.trunc(value)), 0);
}

/** A fraction as per cent with its sign: 0.0123 is `+1.23 %`. Statistics, so a float will do. */
export function percent(fraction: number | null): string {
  if (fraction === null || !Number.isFinite(fraction)) return UNKNOWN;
  const text = group((Math.abs(fraction) * 100).toFixed(2), 2);
  if (!/[1-9]/.test(text)) return `${text} %`;
  return `${fraction < 0 ? "\u2212" : "+"}${text} %`;
}
