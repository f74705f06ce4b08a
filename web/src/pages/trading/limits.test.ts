import { expect, it } from "vitest";
import type { LimitInForce } from "../../api/types";
import { byScope, limitText } from "./limits";

it.each([
  ["order_notional", "2500.50", "2,500.5"],
  ["concentration", "0.25", "25 %"],
  ["price_collar", "0.0525", "5.25 %"],
  ["concentration", "1", "100 %"],
  ["quote_age_seconds", "5", "5 s"],
  ["short_selling", "forbidden", "forbidden"],
  ["symbols_denied", "BTC-USD, ETH-USD", "BTC-USD, ETH-USD"],
])("a limit of %s of %s reads %s", (kind, value, text) => {
  expect(limitText(kind, value)).toBe(text);
});

it("limits stand by what they are set on, the desk first", () => {
  const limit = (scope: string, kind: string) =>
    ({ scope: { scope, kind: scope.split("/")[0] }, kind }) as LimitInForce;
  const grouped = byScope([
    limit("account/1", "leverage"),
    limit("desk", "leverage"),
    limit("account/1", "open_orders"),
  ]);
  expect(grouped.map((one) => [one.scope.scope, one.limits.length])).toEqual([
    ["desk", 1],
    ["account/1", 2],
  ]);
});
