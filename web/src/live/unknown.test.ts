import { expect, it } from "vitest";
import type { UnknownOrder } from "../api/types";
import { unknownSource } from "./unknown";

const one = (id: string, account_id: string, since_at: string) =>
  ({ order: { id, account_id }, since_at }) as UnknownOrder;

it("what one account says leaves the unknown orders of the others", () => {
  const source = unknownSource(["a", "b"]);
  const known = [one("1", "a", "2026-01-01"), one("2", "b", "2026-01-02")];
  const said = (account: string, items: readonly UnknownOrder[]) =>
    source.apply(known, [{ topic: `unknown:${account}`, seq: 1, at: "", data: { items } }]);
  expect(said("a", []).map((each) => each.order.id)).toEqual(["2"]);
  expect(said("b", [one("3", "b", "2025-12-31")]).map((each) => each.order.id)).toEqual(["3", "1"]);
});
