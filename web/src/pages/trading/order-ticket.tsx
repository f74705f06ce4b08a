import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, lazy, Suspense, useMemo, useRef, useState } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary, MarketSymbol, Order, Problem } from "../../api/types";
import { price } from "../../format/money";
import { quantity as quantityText } from "../../format/quantity";
import { orders } from "../../live/desk";
import { useResource } from "../../live/resource";
import { useStore } from "../../live/store";
import { Button, Choice, Field, Select } from "../../ui/controls";
import { Notice, Panel } from "../../ui/surface";
import { ModeBadge } from "../frame/mode";
import { Refusal } from "../refusal";
import { useMay } from "../session";
import { type Draft, EMPTY, requestOf, type Wrong, wrong } from "./draft";
import { type OrderDoor, TicketDesk } from "./ticket";
import { orderLine, statusWord } from "./words";

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
  // Another account or symbol is another ticket: nothing typed for one may be sent on the other.
  const key = `${account.id} ${symbol.symbol}`;
  return <OpenTicket key={key} account={account} symbol={symbol} />;
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
  const [draft, setDraft] = useState(EMPTY);
  const [mistakes, setMistakes] = useState<Wrong>({});
  const previewButton = useRef<HTMLButtonElement>(null);
  const result = useRef<HTMLDivElement>(null);
  const refused = ticket.step === "refused" ? ticket.problem : null;

  const change = (part: Partial<Draft>) => {
    setDraft({ ...draft, ...part });
    setMistakes({});
    // What was said of the last order is not said of this one.
    if (ticket.step === "refused" || ticket.step === "sent") desk.edit();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const found = wrong(draft);
    setMistakes(found);
    if (Object.keys(found).length === 0) void desk.preview(requestOf(draft, symbol.symbol));
  };

  return (
    <Panel title="Order ticket" aside={<ModeBadge mode={account.mode} />}>
      <form onSubmit={submit} noValidate className="flex flex-col gap-3 p-3">
        <Fields
          draft={draft}
          symbol={symbol}
          onChange={change}
          error={(field) => mistakes[field] ?? fieldError(refused, field)}
        />
        <Button
          ref={previewButton}
          type="submit"
          look={draft.side}
          disabled={ticket.step === "previewing"}
        >
          {ticket.step === "previewing" ? "Asking the desk…" : `Preview ${draft.side} order`}
        </Button>
        <div ref={result} tabIndex={-1}>
          {refused && <Refusal problem={refused} />}
          {ticket.step === "sent" && <Sent order={ticket.order} />}
        </div>
      </form>
      {"preview" in ticket && (
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

interface FieldsProps {
  draft: Draft;
  symbol: MarketSymbol;
  onChange(part: Partial<Draft>): void;
  error(field: keyof Wrong): string | null;
}

function Fields({ draft, symbol, onChange, error }: FieldsProps) {
  const limited = draft.type === "limit";
  return (
    <>
      <Choice
        label="Side"
        value={draft.side}
        onChange={(side) => onChange({ side })}
        options={SIDES}
      />
      <QuoteLine
        symbol={symbol}
        onTake={limited ? (limit_price) => onChange({ limit_price }) : undefined}
      />
      <div className="grid grid-cols-2 gap-3">
        <Select
          label="Type"
          value={draft.type}
          onChange={(event) => onChange({ type: event.target.value as Draft["type"] })}
        >
          <option value="limit">Limit</option>
          <option value="market">Market</option>
        </Select>
        <Select
          label="Time in force"
          value={draft.time_in_force}
          onChange={(event) =>
            onChange({ time_in_force: event.target.value as Draft["time_in_force"] })
          }
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
        value={draft.quantity}
        onChange={(event) => onChange({ quantity: event.target.value })}
        error={error("quantity")}
      />
      {limited && (
        <Field
          label="Limit price"
          name="limit_price"
          unit={symbol.quote}
          inputMode="decimal"
          value={draft.limit_price}
          onChange={(event) => onChange({ limit_price: event.target.value })}
          error={error("limit_price")}
        />
      )}
    </>
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
function Sent({ order }: { order: Order }) {
  const { state } = useResource(orders(order.account_id));
  const now = state?.find((one) => one.id === order.id) ?? order;
  const tone = now.status === "rejected" ? "bad" : now.status === "unknown" ? "warn" : "good";
  return (
    <Notice tone={tone} title={`Order ${statusWord(now.status).toLowerCase()}`}>
      <p>{orderLine(now)}</p>
      {now.reason && <p className="mt-1 text-xs">{now.reason}</p>}
    </Notice>
  );
}

function fieldError(problem: Problem | null, field: string): string | null {
  if (!problem) return null;
  const listed = problem.errors?.find((one) => one.field === field);
  if (listed) return listed.detail;
  return problem.field === field ? problem.detail : null;
}
