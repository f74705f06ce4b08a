import type { OrderRequest } from "../../api/types";
import { isPositiveDecimal } from "../../format/decimal";

/** What stands in the ticket's fields, as typed. */
export interface Draft {
  side: OrderRequest["side"];
  type: OrderRequest["type"];
  time_in_force: OrderRequest["time_in_force"];
  quantity: string;
  limit_price: string;
}

export const EMPTY: Draft = {
  side: "buy",
  type: "limit",
  time_in_force: "day",
  quantity: "",
  limit_price: "",
};

/** What is wrong with the fields, by field. */
export type Wrong = Partial<Record<"quantity" | "limit_price", string>>;

/** Checks what needs no desk: that numbers are numbers. Every rule of trading is asked of the desk. */
export function wrong(draft: Draft): Wrong {
  const found: Wrong = {};
  if (!isPositiveDecimal(draft.quantity)) found.quantity = "A number above zero, such as 0.25";
  if (draft.type === "limit" && !isPositiveDecimal(draft.limit_price))
    found.limit_price = "A price above zero, such as 61000.50";
  return found;
}

/** The order that the fields describe. Digits stay as they were typed. */
export function requestOf(draft: Draft, symbol: string): OrderRequest {
  const { side, type, time_in_force } = draft;
  const request = { symbol, side, type, time_in_force, quantity: draft.quantity.trim() };
  return type === "limit" ? { ...request, limit_price: draft.limit_price.trim() } : request;
}
