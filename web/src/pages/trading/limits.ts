import type { LimitInForce, LimitKind } from "../../api/types";
import { group, scale } from "../../format/decimal";

/** The limits of one scope. */
export interface ScopeLimits {
  scope: LimitInForce["scope"];
  limits: readonly LimitInForce[];
}

/** The limits by what they are set on: the desk first, then as they came. */
export function byScope(limits: readonly LimitInForce[]): readonly ScopeLimits[] {
  const scopes = new Map<string, LimitInForce[]>();
  for (const limit of limits) {
    const list = scopes.get(limit.scope.scope);
    if (list) list.push(limit);
    else scopes.set(limit.scope.scope, [limit]);
  }
  return [...scopes.values()]
    .map((list) => ({ scope: (list[0] as LimitInForce).scope, limits: list }))
    .sort((a, b) => Number(b.scope.kind === "desk") - Number(a.scope.kind === "desk"));
}

/** Kinds that are shares of something, written as fractions. */
const FRACTIONS = ["concentration", "price_collar"];

/** A value of a limit as people read it: `2,500.5`, `25 %`, `allowed`. */
export function limitText(kind: string, value: string): string {
  if (FRACTIONS.includes(kind)) return percentOf(value);
  const grouped = group(value, 0, 9);
  return kind === "quote_age_seconds" ? `${grouped} s` : grouped;
}

/** Whether the value is one of two words. */
export function isSwitch(kind: LimitKind): boolean {
  return kind.allowed.startsWith('"allowed"');
}

/** A fraction as per cent, digit by digit: `0.0525` is `5.25 %`. */
function percentOf(fraction: string): string {
  if (!/^\d+(\.\d+)?$/.test(fraction)) return fraction;
  const [whole = "0", digits = ""] = fraction.split(".");
  const moved = `${whole}${digits.padEnd(2, "0").slice(0, 2)}.${digits.slice(2) || "0"}`;
  return `${group(moved, 0, scale(moved))} %`;
}
