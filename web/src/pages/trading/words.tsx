import type { Order, OrderRequest, OrderStatus, Side } from "../../api/types";
import { price } from "../../format/money";
import { quantity } from "../../format/quantity";
import { ArrowDown, ArrowUp } from "../../ui/icons";
import { Tag, type Tone } from "../../ui/surface";

const STATUS: Record<OrderStatus, [word: string, tone: Tone]> = {
  accepted: ["Accepted", "calm"],
  submitting: ["Submitting", "calm"],
  unknown: ["Unknown", "warn"],
  working: ["Working", "calm"],
  partially_filled: ["Partly filled", "good"],
  filled: ["Filled", "good"],
  cancel_pending: ["Cancelling", "warn"],
  canceled: ["Cancelled", "calm"],
  expired: ["Expired", "calm"],
  rejected: ["Rejected", "bad"],
};

/** The status of an order in a word. */
export function statusWord(status: OrderStatus): string {
  return STATUS[status][0];
}

export function StatusTag({ order }: { order: Order }) {
  const [word, tone] = STATUS[order.status];
  return (
    <span title={order.reason ?? undefined}>
      <Tag tone={tone}>{word}</Tag>
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

/** An order in one line: `Buy 0.5 BTC-USD, limit 61,000.00, day`. */
export function orderLine(order: OrderRequest | Order): string {
  const verb = order.side === "buy" ? "Buy" : "Sell";
  const kind = order.type === "limit" ? `limit ${price(order.limit_price)}` : "market";
  const until = order.time_in_force === "gtc" ? "until cancelled" : "today only";
  return `${verb} ${quantity(order.quantity)} ${order.symbol}, ${kind}, ${until}`;
}
