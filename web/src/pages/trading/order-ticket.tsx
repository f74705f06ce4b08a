import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, lazy, Suspense, useMemo, useRef, useState } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary, MarketSymbol, OrderRequest, Problem } from "../../api/types";
import { isPositiveDecimal } from "../../format/decimal";
import { price } from "../../format/money";
import { quantity as quantityText } from "../../format/quantity";
import { orders } from "../../live/desk";
import { useResource } from "../../live/resource";
import { useStore } from "../../live/store";
import { Button, Choice, Field, Select } from "../../ui/controls";
import { Notice, Panel } from "../../ui/surface";
import { ModeBadge } from "../frame/mode";
import { useMay } from "../session";
import { type OrderDoor, TicketDesk } from "./ticket";
import { orderLine, Refusal, statusWord } from "./words";

// Fetched at once, but after the ticket itself: nobody confirms in the first second.
const confirm = import("./confirm");
const Confirm = lazy(() => confirm);

const SIDES = [
  { value: "buy", text: "Buy", look: "bg-buy text-on-trade" },
  { value: "sell", text: "Sell", look: "bg-sell text-on-trade" },
] as const;

interface TicketProps {
  account: AccountSummary;
  symbol: MarketSymbol;
}

/** The order ticket of the desk, or why there is none. */
export function OrderTicket({ account, symbol }: TicketProps) {
  const may = useMay("orders.place");
  if (!may || account.access === "view")
    return (
      <Panel title="Order ticket">
        <p className="px-3 py-6 text-muted">
          {may
            ? `You may look at ${account.name}, but not trade on it.`
            : "Your roles do not allow placing orders."}
        </p>
      </Panel>
    );
  // A new account is a new ticket: nothing typed for one may be sent on the other.
  return <OpenTicket key={account.id} account={account} symbol={symbol} />;
}

function OpenTicket({ account, symbol }: TicketProps) {
  const client = useQueryClient();
  const desk = useMemo(
    () =>
      new TicketDesk(door(account.id, () => client.invalidateQueries({ queryKey: ["orders"] }))),
    [account.id, client],
  );
  return <TicketForm desk={desk} account={account} symbol={symbol} />;
}

function door(accountId: string, placed: () => void): OrderDoor {
  const path = { id: accountId };
  return {
    preview: (request) =>
      answer(api.POST("/api/v1/accounts/{id}/orders/preview", { params: { path }, body: request })),
    async submit(request, client_order_id) {
      const order = await answer(
        api.POST("/api/v1/accounts/{id}/orders", {
          params: { path, header: { "Idempotency-Key": client_order_id } },
          body: { ...request, client_order_id },
        }),
      );
      placed();
      return order;
    },
  };
}

/** The form of the ticket. The desk behind it decides; this only collects. */
export function TicketForm({ desk, account, symbol }: TicketProps & { desk: TicketDesk }) {
  const ticket = useStore(desk.ticket);
  const [side, setSide] = useState<OrderRequest["side"]>("buy");
  const [type, setType] = useState<OrderRequest["type"]>("limit");
  const [until, setUntil] = useState<OrderRequest["time_in_force"]>("day");
  const [quantity, setQuantity] = useState("");
  const [limit, setLimit] = useState("");
  const [shape, setShape] = useState<{ quantity?: string; limit_price?: string }>({});
  const previewButton = useRef<HTMLButtonElement>(null);
  const result = useRef<HTMLDivElement>(null);

  const refused = ticket.step === "refused" ? ticket.problem : null;
  const changed = (set: (value: string) => void) => (event: { target: { value: string } }) => {
    set(event.target.value);
    setShape({});
    if (refused || ticket.step === "sent") desk.edit();
  };

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wrong = {
      ...(isPositiveDecimal(quantity) ? {} : { quantity: "A number above zero, such as 0.25" }),
      ...(type === "market" || isPositiveDecimal(limit)
        ? {}
        : { limit_price: "A price above zero, such as 61000.50" }),
    };
    setShape(wrong);
    if (Object.keys(wrong).length > 0) return;
    void desk.preview({
      symbol: symbol.symbol,
      side,
      type,
      time_in_force: until,
      quantity: quantity.trim(),
      ...(type === "limit" ? { limit_price: limit.trim() } : {}),
    });
  };

  return (
    <Panel title="Order ticket" aside={<ModeBadge mode={account.mode} />}>
      <form onSubmit={submit} noValidate className="flex flex-col gap-3 p-3">
        <Choice label="Side" value={side} onChange={(next) => setSide(next)} options={SIDES} />
        <QuoteLine symbol={symbol} onTake={type === "limit" ? setLimit : undefined} />
        <div className="grid grid-cols-2 gap-3">
          <Select
            label="Type"
            value={type}
            onChange={(event) => setType(event.target.value as typeof type)}
          >
            <option value="limit">Limit</option>
            <option value="market">Market</option>
          </Select>
          <Select
            label="Time in force"
            value={until}
            onChange={(event) => setUntil(event.target.value as typeof until)}
          >
            <option value="day">Day</option>
            <option value="gtc">Good till cancelled</option>
          </Select>
        </div>
        <Field
          label="Quantity"
          name="quantity"
          unit={symbol.base}
          inputMode="decimal"
          value={quantity}
          onChange={changed(setQuantity)}
          error={shape.quantity ?? fieldError(refused, "quantity")}
        />
        {type === "limit" && (
          <Field
            label="Limit price"
            name="limit_price"
            unit={symbol.quote}
            inputMode="decimal"
            value={limit}
            onChange={changed(setLimit)}
            error={shape.limit_price ?? fieldError(refused, "limit_price")}
          />
        )}
        <Button
          ref={previewButton}
          type="submit"
          look={side}
          disabled={ticket.step === "previewing"}
        >
          {ticket.step === "previewing" ? "Asking the desk…" : `Preview ${side} order`}
        </Button>
        <div ref={result} tabIndex={-1}>
          {refused && <Refusal problem={refused} />}
          {ticket.step === "sent" && <Sent accountId={account.id} order={ticket.order} />}
        </div>
      </form>
      {(ticket.step === "previewed" ||
        ticket.step === "sending" ||
        ticket.step === "unanswered") && (
        <Suspense>
          <Confirm
            ticket={ticket}
            account={account}
            onSend={() => void desk.send()}
            onBack={() => desk.edit()}
            // Not to the preview button after sending: a second Enter would ask for another order.
            returnTo={() =>
              desk.ticket.get().step === "editing" ? previewButton.current : result.current
            }
          />
        </Suspense>
      )}
    </Panel>
  );
}

/** Bid and ask of now; pressing one takes it as the limit price. */
function QuoteLine({ symbol, onTake }: { symbol: MarketSymbol; onTake?: (price: string) => void }) {
  const side = (
    name: string,
    value: string | null | undefined,
    size: string | null | undefined,
  ) => {
    const text = (
      <>
        <span className="text-xs text-muted">{name}</span>
        <span className="font-semibold">{price(value, symbol.price_increment)}</span>
        <span className="text-2xs text-muted">{quantityText(size)}</span>
      </>
    );
    const look =
      "flex min-h-11 flex-1 flex-col items-start rounded-md border border-line px-2.5 py-1";
    return onTake && value != null ? (
      <button
        type="button"
        title="Take as limit price"
        className={`${look} hover:border-line-strong hover:bg-raised`}
        onClick={() => onTake(value)}
      >
        {text}
      </button>
    ) : (
      <div className={look}>{text}</div>
    );
  };
  return (
    <div className="flex gap-3">
      {side("Bid", symbol.bid, symbol.bid_size)}
      {side("Ask", symbol.ask, symbol.ask_size)}
    </div>
  );
}

/** The order just placed, as it goes on. */
function Sent({
  accountId,
  order,
}: {
  accountId: string;
  order: { id: string } & Parameters<typeof orderLine>[0];
}) {
  const { state } = useResource(orders(accountId));
  const now = state?.find((one) => one.id === order.id);
  const status = now ?? ("status" in order ? order : null);
  const bad = status?.status === "rejected";
  return (
    <Notice
      tone={bad ? "bad" : status?.status === "unknown" ? "warn" : "good"}
      title={status ? `Order ${statusWord(status.status).toLowerCase()}` : "Order accepted"}
    >
      <p>{orderLine(order)}</p>
      {status?.reason && <p className="mt-1 text-xs">{status.reason}</p>}
    </Notice>
  );
}

function fieldError(problem: Problem | null, field: string): string | null {
  if (!problem) return null;
  const listed = problem.errors?.find((one) => one.field === field);
  if (listed) return listed.detail;
  return problem.field === field ? problem.detail : null;
}
