import type { Order, OrderAmendment, TimeInForce } from "../../api/types";
import { isPositiveDecimal } from "../../format/decimal";

/** What stands in the fields of a change, as typed. */
export interface Change {
  quantity: string;
  limit_price: string;
  stop_price: string;
  trail: string;
  time_in_force: TimeInForce;
}

/** A field that somebody types into. */
export type ChangeField = Exclude<keyof Change, "time_in_force">;

/** The order as it stands, to begin from. */
export function changeOf(order: Order): Change {
  return {
    quantity: order.quantity,
    limit_price: order.limit_price ?? "",
    stop_price: order.stop_price ?? "",
    trail: order.trail_percent ?? order.trail_price ?? "",
    time_in_force: order.time_in_force,
  };
}

/** The fields that this order has. */
export function changeable(order: Order): readonly ChangeField[] {
  const fields: ChangeField[] = ["quantity"];
  if (order.stop_price !== null && order.type !== "trailing_stop") fields.push("stop_price");
  if (order.limit_price !== null) fields.push("limit_price");
  if (order.type === "trailing_stop") fields.push("trail");
  return fields;
}

/** What is wrong with the fields, by field. */
export function wrongIn(order: Order, change: Change): Partial<Record<ChangeField, string>> {
  const found: Partial<Record<ChangeField, string>> = {};
  for (const field of changeable(order))
    if (!isPositiveDecimal(change[field])) found[field] = "A number above zero";
  return found;
}

/** What differs from the order; null when nothing does. */
export function amendmentOf(order: Order, change: Change): OrderAmendment | null {
  const before = changeOf(order);
  const amendment: OrderAmendment = {};
  for (const field of changeable(order)) {
    const typed = change[field].trim();
    if (typed === before[field]) continue;
    if (field !== "trail") amendment[field] = typed;
    else if (order.trail_percent !== null) amendment.trail_percent = typed;
    else amendment.trail_price = typed;
  }
  if (change.time_in_force !== before.time_in_force) amendment.time_in_force = change.time_in_force;
  return Object.keys(amendment).length === 0 ? null : amendment;
}
