import type { Bar } from "../api/types";

/**
 * Share of the volume that lifted the ask, 0 to 1; `null` when nothing traded, as 0 would say all sold.
 *
 * A share is a statistic, not money: a float is exact enough.
 */
export function buyShare(bar: Pick<Bar, "buy_volume" | "sell_volume">): number | null {
  const buy = Number(bar.buy_volume);
  const total = buy + Number(bar.sell_volume);
  return total > 0 ? buy / total : null;
}

/** The pressure in five words, for those who do not see or trust colours. */
export type Pressure = "strong selling" | "selling" | "balanced" | "buying" | "strong buying";

/** The words in order, from all sold to all bought. */
export const PRESSURES: readonly Pressure[] = [
  "strong selling",
  "selling",
  "balanced",
  "buying",
  "strong buying",
];

/** The word for a share; `balanced` when nothing traded. */
export function pressure(share: number | null): Pressure {
  if (share === null) return "balanced";
  if (share < 0.25) return "strong selling";
  if (share < 0.45) return "selling";
  if (share <= 0.55) return "balanced";
  if (share <= 0.75) return "buying";
  return "strong buying";
}
