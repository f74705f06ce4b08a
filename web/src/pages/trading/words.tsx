import type {
  Leg,
  Order,
  OrderClass,
  OrderRequest,
  OrderStatus,
  OrderType,
  Side,
  TimeInForce,
} from "../../api/types";
import { money, price } from "../../format/money";
import { quantity } from "../../format/quantity";
import { ArrowDown, ArrowUp } from "../../ui/icons";
import { Tag, type Tone } from "../../ui/surface";

const STATUS: Record<OrderStatus, [word: string, tone: Tone]> = {
  accepted: ["Accepted", "calm"],
  held: ["Held", "calm"],
  submitting: ["Submitting", "calm"],
  unknown: ["Unknown", "warn"],
  working: ["Working", "calm"],
  partially_filled: ["Partly filled", "good"],
  filled: ["Filled", "good"],
  cancel_pending: ["Cancelling", "warn"],
  canceled: ["Cancelled", "calm"],
  replace_pending: ["Changing", "warn"],
  replaced: ["Replaced", "calm"],
  expired: ["Expired", "calm"],
  rejected: ["Rejected", "bad"],
};

export const TYPES: Record<OrderType, string> = {
  market: "Market",
  limit: "Limit",
  stop: "Stop",
  stop_limit: "Stop limit",
  trailing_stop: "Trailing stop",
};

export const TIMES: Record<TimeInForce, string> = {
  day: "Day",
  gtc: "Good till cancelled",
  ioc: "Immediate or cancel",
  fok: "Fill or kill",
  opg: "At the open",
  cls: "At the close",
};

export const CLASSES: Record<OrderClass, string> = {
  simple: "No exits",
  bracket: "Bracket: profit and loss",
  oco: "OCO: exits only",
  oto: "OTO: one exit",
};

export const LEGS: Record<Leg, string> = {
  take_profit: "Take-profit",
  stop_loss: "Stop-loss",
};

/** The status of an order in a word. */
export function statusWord(status: OrderStatus): string {
  return STATUS[status][0];
}

export function StatusTag({ order }: { order: Order }) {
  const [word, tone] = STATUS[order.status];
  return (
    <span title={order.reason ?? undefined}>
      <Tag tone={tone}>{order.status === "held" && order.triggered ? "Triggered" : word}</Tag>
    </span>
  );
}

/** Buy or sell: a word, an arrow and a colour. */
function SideWord({ side }: { side: Side }) {
  const buy = side === "buy";
  return (
    <span className={`inline-flex items-center gap-1 font-medium ${buy ? "text-up" : "text-down"}`}>
      {buy ? <ArrowUp className="size-3" /> : <ArrowDown className="size-3" />}
      {buy ? "Buy" : "Sell"}
    </span>
  );
}

/** Side and symbol beside each other, one under the other on a phone. */
export function SideAndSymbol({ of }: { of: { side: Side; symbol: string } }) {
  return (
    <span className="flex whitespace-nowrap max-sm:flex-col sm:gap-2">
      <SideWord side={of.side} />
      {of.symbol}
    </span>
  );
}

type Priced = Pick<OrderRequest, "type"> & {
  [Field in "limit_price" | "stop_price" | "trail_price" | "trail_percent"]?: string | null;
};

/** The prices of an order: `market`, `61,000.00`, `stop 60,000.00`, `trails 2.5 %`. */
export function priceWords(order: Priced): string {
  switch (order.type) {
    case "market":
      return "market";
    case "limit":
      return price(order.limit_price);
    case "stop":
      return `stop ${price(order.stop_price)}`;
    case "stop_limit":
      return `stop ${price(order.stop_price)}, limit ${price(order.limit_price)}`;
    case "trailing_stop":
      return order.trail_percent != null
        ? `trails ${quantity(order.trail_percent)} %`
        : `trails ${price(order.trail_price)}`;
  }
}

const UNTIL: Record<TimeInForce, string> = {
  day: "today only",
  gtc: "until cancelled",
  ioc: "at once or not",
  fok: "all at once or not",
  opg: "at the open",
  cls: "at the close",
};

/** How long an order waits, in a few words. */
export function untilWords(time: TimeInForce): string {
  return UNTIL[time];
}

/** What an order says of itself in a line; where the desk answers, what it has not is null. */
type Line = Priced &
  Pick<OrderRequest, "side" | "symbol" | "time_in_force"> & {
    quantity?: string | null;
    notional?: string | null;
  };

/** An order in one line: `Buy 0.5 BTC-USD, limit 61,000.00, today only`. */
export function orderLine(order: Line): string {
  const verb = order.side === "buy" ? "Buy" : "Sell";
  // What was asked for as money stays money until it is filled.
  const size =
    order.quantity != null ? quantity(order.quantity) : `${money(order.notional)} worth of`;
  const kind = order.type === "limit" ? `limit ${priceWords(order)}` : priceWords(order);
  return `${verb} ${size} ${order.symbol}, ${kind}, ${untilWords(order.time_in_force)}`;
}
