import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { answer, api } from "../../api/client";
import type { Order, OrderEvent, Problem } from "../../api/types";
import { averagePrice, money, price } from "../../format/money";
import { quantity } from "../../format/quantity";
import { sentence } from "../../format/sentence";
import { clock } from "../../format/time";
import { isOpen } from "../../live/orders";
import { Dialog } from "../../ui/dialog";
import { Fact, Notice } from "../../ui/surface";
import { ModeBadge } from "../frame/mode";
import { Refusal, ruleTitle } from "../refusal";
import { useAccount, useMay } from "../session";
import { useBookName } from "./books-query";
import { AmendButton, CancelButton } from "./order-acts";
import { LEGS, orderLine, statusWord, TYPES } from "./words";

interface OrderTrailProps {
  id: string;
  known: Order | undefined;
  returnTo(): HTMLElement | null;
  /** Shows another order: the parent, what it replaced. */
  onOpen(id: string): void;
  onClose(): void;
}

/** One order, what it has to do with others, and everything that happened to it, in order. */
export function OrderTrail({ id, known, returnTo, onOpen, onClose }: OrderTrailProps) {
  const path = { id };
  const loaded = useQuery({
    queryKey: ["orders", "one", id],
    queryFn: () => answer(api.GET("/api/v1/orders/{id}", { params: { path } })),
    enabled: known === undefined,
  });
  const events = useQuery({
    queryKey: ["order-events", id],
    queryFn: () => answer(api.GET("/api/v1/orders/{id}/events", { params: { path } })),
  });
  const order = known ?? loaded.data;
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      returnTo={returnTo}
      title={order ? orderLine(order) : "Order"}
      description={order ? `Placed by ${order.submitted_by.name}` : "Loading…"}
    >
      {order && (
        <>
          <Standing order={order} />
          <Facts order={order} onOpen={onOpen} />
          <Why order={order} />
        </>
      )}
      <h3 className="mt-4 mb-2 text-xs font-semibold text-muted">Journal</h3>
      {events.isPending && <p className="text-muted">Loading…</p>}
      {/* The journal begins where the desk first acts on the order; how it came stands in the order. */}
      <ol className="relative ml-1.5 border-l border-line">
        {order && events.data?.items[0]?.kind !== "accepted" && (
          <Step
            event={{
              seq: 0,
              at: order.created_at,
              kind: "accepted",
              detail: { from: order.submitted_by.name, mode: order.mode },
            }}
          />
        )}
        {events.data?.items.map((event) => (
          <Step key={event.seq} event={event} />
        ))}
      </ol>
    </Dialog>
  );
}

/** Whether its money is real, and what can be done about it now. */
function Standing({ order }: { order: Order }) {
  const account = useAccount();
  const acts = account?.id === order.account_id && account.access !== "view" && isOpen(order);
  const mayCancel = useMay("orders.cancel") && acts;
  const mayAmend = useMay("orders.place") && acts;
  const [refused, setRefused] = useState<Problem | null>(null);
  return (
    <>
      <div className="mb-2 flex items-center gap-2">
        <ModeBadge mode={order.mode} />
        <span className="mr-auto font-semibold">{statusWord(order.status)}</span>
        {mayAmend && <AmendButton order={order} />}
        {mayCancel && <CancelButton order={order} onRefused={setRefused} />}
      </div>
      {refused && <Refusal problem={refused} title="The order was not cancelled" />}
    </>
  );
}

function Facts({ order, onOpen }: { order: Order; onOpen(id: string): void }) {
  const book = useBookName(order.account_id, order.book_id);
  const { take_profit, stop_loss } = order;
  const other = (name: string, id: string | null) =>
    id && (
      <Fact name={name}>
        <button
          type="button"
          className="min-h-11 text-accent underline-offset-2 hover:underline sm:min-h-0"
          onClick={() => onOpen(id)}
        >
          {id.slice(-8)}
        </button>
      </Fact>
    );
  const shown = (name: string, value: ReactNode) =>
    value !== null && value !== "" && <Fact name={name}>{value}</Fact>;
  return (
    <dl className="grid gap-x-8 sm:grid-cols-2">
      <Fact name="Type">
        {TYPES[order.type]}
        {order.leg && `, ${LEGS[order.leg].toLowerCase()}`}
      </Fact>
      <Fact name="Filled">
        {quantity(order.filled_quantity)} of {quantity(order.quantity)}
      </Fact>
      {shown("Asked for", order.notional && money(order.notional))}
      <Fact name="Average fill">{averagePrice(order.average_fill_price)}</Fact>
      <Fact name="Fees">{money(order.fees)}</Fact>
      {shown("Stop price now", order.stop_price && price(order.stop_price))}
      {shown("Take-profit", take_profit && price(take_profit.limit_price))}
      {shown(
        "Stop-loss",
        stop_loss &&
          `${price(stop_loss.stop_price)}${stop_loss.limit_price ? `, limit ${price(stop_loss.limit_price)}` : ""}`,
      )}
      {order.extended_hours && <Fact name="Hours">also outside of the regular ones</Fact>}
      {shown("Book", book)}
      {shown("Strategy", order.strategy)}
      {shown("Done by the desk", order.done_by_desk.map(ruleTitle).join(", "))}
      {order.origin === "external" && <Fact name="Origin">found at the broker</Fact>}
      {other("Came with", order.parent_id)}
      {other("Takes the place of", order.replaces)}
      {other("Replaced by", order.replaced_by)}
      <Fact name="Client order id">
        <code className="text-2xs">{order.client_order_id}</code>
      </Fact>
      <Fact name="Broker order id">
        <code className="text-2xs">{order.broker_order_id ?? "–"}</code>
      </Fact>
    </dl>
  );
}

/** Why it ended as it did, and what can be done about it. */
function Why({ order }: { order: Order }) {
  if (!order.reason && !order.broker_reason) return null;
  const bad = order.status === "rejected";
  return (
    <div className="mt-3">
      <Notice
        tone={bad ? "bad" : order.status === "unknown" ? "warn" : "calm"}
        title={order.broker_reason?.explanation ?? sentence(order.reason ?? "")}
      >
        {order.broker_reason && (
          <>
            <p>{order.broker_reason.way_out}</p>
            {order.reason && (
              <p className="mt-1 text-xs text-muted">
                The broker's words: {order.reason} ({order.broker_reason.code})
              </p>
            )}
          </>
        )}
      </Notice>
    </div>
  );
}

function Step({ event }: { event: OrderEvent }) {
  // When it was stands above it already.
  const facts = Object.entries(event.detail).filter(
    ([name, value]) => value !== null && name !== "at",
  );
  return (
    <li className="relative pb-3 pl-4">
      <span className="absolute top-1.5 -left-[4.5px] size-2 rounded-full bg-line-strong" />
      <p>
        <b className="font-semibold">{ruleTitle(event.kind)}</b>{" "}
        <span className="text-xs text-muted">{clock(event.at)}</span>
      </p>
      {facts.length > 0 && (
        <p className="text-xs wrap-anywhere text-muted">
          {facts.map(([name, value]) => `${name.replaceAll("_", " ")} ${plain(value)}`).join(" · ")}
        </p>
      )}
    </li>
  );
}

function plain(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
