import type { OrderClass, OrderRequest, OrderType, TimeInForce } from "../../api/types";
import { isPositiveDecimal } from "../../format/decimal";

/** What stands in the ticket's fields, as typed; also in those that do not apply now. */
export interface Draft {
  side: OrderRequest["side"];
  class: OrderClass;
  /** Which of the two exits an OTO has. */
  oto: "take_profit" | "stop_loss";
  type: OrderType;
  time_in_force: TimeInForce;
  size: "quantity" | "notional";
  quantity: string;
  notional: string;
  limit_price: string;
  stop_price: string;
  trail_in: "price" | "percent";
  trail: string;
  take_profit: string;
  stop_loss: string;
  /** May stay empty: the stop-loss then takes any price. */
  stop_loss_limit: string;
  extended_hours: boolean;
  /** Empty: the desk chooses. */
  book_id: string;
  strategy: string;
}

export const EMPTY: Draft = {
  side: "buy",
  class: "simple",
  oto: "stop_loss",
  type: "limit",
  time_in_force: "day",
  size: "quantity",
  quantity: "",
  notional: "",
  limit_price: "",
  stop_price: "",
  trail_in: "percent",
  trail: "",
  take_profit: "",
  stop_loss: "",
  stop_loss_limit: "",
  extended_hours: false,
  book_id: "",
  strategy: "",
};

/** A field that somebody types into. */
export type FieldName =
  | "quantity"
  | "notional"
  | "limit_price"
  | "stop_price"
  | "trail"
  | "take_profit"
  | "stop_loss"
  | "stop_loss_limit"
  | "strategy";

/** What is wrong with the fields, by field. */
export type Wrong = Partial<Record<FieldName, string>>;

/** The fields that apply to what was chosen, in the order of the form. */
export function fieldsOf(draft: Draft): readonly FieldName[] {
  const fields: FieldName[] = [draft.size];
  if (draft.type === "stop" || draft.type === "stop_limit") fields.push("stop_price");
  if (draft.type === "limit" || draft.type === "stop_limit") fields.push("limit_price");
  if (draft.type === "trailing_stop") fields.push("trail");
  const has = (leg: Draft["oto"]) =>
    draft.class === "bracket" || (draft.class === "oto" && draft.oto === leg);
  if (has("take_profit")) fields.push("take_profit");
  if (has("stop_loss") || draft.class === "oco") fields.push("stop_loss", "stop_loss_limit");
  return fields;
}

/** Why a choice does not go with the others that were made; null when it does. */
export function clash(draft: Draft, choice: Partial<Draft>): string | null {
  const { class: group, type, time_in_force } = { ...draft, ...choice };
  if ("type" in choice) {
    if (group === "oco" && type !== "limit") return "an OCO is a limit order";
    if (group !== "simple" && type === "trailing_stop") return "has no entry price for exits";
  }
  if ("time_in_force" in choice && !isLasting(time_in_force)) {
    if (group !== "simple") return "orders with exits wait";
    if (type !== "market" && type !== "limit") return "a stop waits for its price";
  }
  return null;
}

/** Whether an order may ask to be filled outside of the regular session. */
export function mayExtend(draft: Draft): boolean {
  return draft.class === "simple" && draft.type === "limit" && isLasting(draft.time_in_force);
}

/** The draft with a choice made; what the choice rules out gives way to what goes with it. */
export function chosen(draft: Draft, choice: Partial<Draft>): Draft {
  const next = { ...draft, ...choice };
  if (clash(next, { type: next.type })) next.type = "limit";
  if (clash(next, { time_in_force: next.time_in_force })) next.time_in_force = "day";
  if (!mayExtend(next)) next.extended_hours = false;
  return next;
}

const EXAMPLES: Record<FieldName, string> = {
  quantity: "A number above zero, such as 0.25",
  notional: "An amount above zero, such as 500.00",
  limit_price: "A price above zero, such as 61000.50",
  stop_price: "A price above zero, such as 61000.50",
  trail: "A number above zero, such as 2.5",
  take_profit: "A price above zero, such as 62000.00",
  stop_loss: "A price above zero, such as 60000.00",
  stop_loss_limit: "A price above zero, or nothing",
  strategy: "",
};

/** Checks what needs no desk: that numbers are numbers. Every rule of trading is asked of the desk. */
export function wrong(draft: Draft): Wrong {
  const found: Wrong = {};
  for (const field of fieldsOf(draft)) {
    if (field === "stop_loss_limit" && draft[field].trim() === "") continue;
    if (!isPositiveDecimal(draft[field])) found[field] = EXAMPLES[field];
  }
  return found;
}

/** The order that the fields describe. Digits stay as they were typed. */
export function requestOf(draft: Draft, symbol: string): OrderRequest {
  const { side, type, time_in_force } = draft;
  const applies = new Set(fieldsOf(draft));
  const typed = (field: FieldName) => (applies.has(field) ? draft[field].trim() : "") || undefined;
  const trail = typed("trail");
  const take_profit = typed("take_profit");
  const stop_loss = typed("stop_loss");
  const request: OrderRequest = {
    symbol,
    side,
    type,
    time_in_force,
    quantity: typed("quantity"),
    notional: typed("notional"),
    limit_price: typed("limit_price"),
    stop_price: typed("stop_price"),
    trail_price: draft.trail_in === "price" ? trail : undefined,
    trail_percent: draft.trail_in === "percent" ? trail : undefined,
    extended_hours: draft.extended_hours || undefined,
    class: draft.class === "simple" ? undefined : draft.class,
    take_profit: take_profit ? { limit_price: take_profit } : undefined,
    stop_loss: stop_loss
      ? without({ stop_price: stop_loss, limit_price: typed("stop_loss_limit") })
      : undefined,
    book_id: draft.book_id || undefined,
    strategy: draft.strategy.trim() || undefined,
  };
  return without(request);
}

/** Which field of the ticket the desk means by the name of a field. */
export function fieldNamed(name: string | null | undefined): FieldName | null {
  if (name == null) return null;
  if (name.startsWith("trail")) return "trail";
  if (name.startsWith("take_profit")) return "take_profit";
  if (name === "stop_loss.limit_price") return "stop_loss_limit";
  if (name.startsWith("stop_loss")) return "stop_loss";
  return name in EXAMPLES ? (name as FieldName) : null;
}

function isLasting(time: TimeInForce): boolean {
  return time === "day" || time === "gtc";
}

/** The same without what is undefined: the desk refuses fields that an order does not have. */
function without<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
