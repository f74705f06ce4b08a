import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type FormEvent, lazy, Suspense, useMemo, useRef, useState } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary, MarketSymbol, Order, Problem } from "../../api/types";
import { sentence } from "../../format/sentence";
import { approvals, orders } from "../../live/desk";
import { useResource } from "../../live/resource";
import { useStore } from "../../live/store";
import { Button } from "../../ui/controls";
import { Notice, Panel } from "../../ui/surface";
import { ModeBadge } from "../frame/mode";
import { Refusal } from "../refusal";
import { useAccountIds, useMay } from "../session";
import {
  type Draft,
  EMPTY,
  type FieldName,
  fieldNamed,
  requestOf,
  type Wrong,
  wrong,
} from "./draft";
import { type OrderDoor, TicketDesk } from "./ticket";
import { TicketFields } from "./ticket-fields";
import { useVenue } from "./venue";
import { orderLine, statusWord } from "./words";

// Fetched at once, but after the ticket itself: nobody confirms in the first second.
const confirm = import("./confirm");
const Confirm = lazy(() => confirm);

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
    async submit(preview_id) {
      const order = await answer(
        api.POST("/api/v1/accounts/{id}/orders", {
          params: { path, header: { "Idempotency-Key": preview_id } },
          body: { preview_id },
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
  const venue = useVenue(account.id);
  const [draft, setDraft] = useState(EMPTY);
  const [mistakes, setMistakes] = useState<Wrong>({});
  const previewButton = useRef<HTMLButtonElement>(null);
  const result = useRef<HTMLDivElement>(null);
  const refused = ticket.step === "refused" ? ticket.problem : null;

  const change = (next: Draft) => {
    setDraft(next);
    setMistakes({});
    // What was said of the last order is not said of this one.
    if (ticket.step === "refused" || ticket.step === "sent" || ticket.step === "waiting")
      desk.edit();
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
        <TicketFields
          accountId={account.id}
          draft={draft}
          symbol={symbol}
          venue={venue}
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
          {ticket.step === "waiting" && <Waiting problem={ticket.problem} />}
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

/** The order just placed, as it goes on. */
function Sent({ order }: { order: Order }) {
  const { state } = useResource(orders(order.account_id));
  const now = state?.find((one) => one.id === order.id) ?? order;
  const tone = now.status === "rejected" ? "bad" : now.status === "unknown" ? "warn" : "good";
  return (
    <Notice tone={tone} title={`Order ${statusWord(now.status).toLowerCase()}`}>
      <p>{orderLine(now)}</p>
      {now.reason && <p className="mt-1 text-xs">{sentence(now.reason)}</p>}
    </Notice>
  );
}

/** The order that came of a request, as it goes on. */
function Agreed({ id }: { id: string }) {
  const order = useQuery({
    queryKey: ["orders", "one", id],
    queryFn: () => answer(api.GET("/api/v1/orders/{id}", { params: { path: { id } } })),
  }).data;
  return order ? <Sent order={order} /> : null;
}

/** The order is kept until somebody else agrees to it; then it goes on as any other. */
function Waiting({ problem }: { problem: Problem }) {
  const { state } = useResource(approvals(useAccountIds()));
  // The desk names what it opened.
  const approval = state?.find((one) => one.id === problem.value);
  if (approval?.order_id) return <Agreed id={approval.order_id} />;
  if (approval && approval.status !== "waiting")
    return (
      <Notice
        tone={approval.status === "approved" ? "warn" : "bad"}
        title={`The request was ${approval.status}`}
      >
        {approval.decided_by && <p>By {approval.decided_by.name}.</p>}
        {approval.note && <p>{sentence(approval.note)}</p>}
        {approval.result && <p>{sentence(approval.result)}</p>}
      </Notice>
    );
  return (
    <Notice tone="warn" title="A second person has to agree">
      <p>{problem.detail}</p>
      <Link to="/approvals" className="font-semibold text-accent underline underline-offset-2">
        See what is waiting
      </Link>
    </Notice>
  );
}

function fieldError(problem: Problem | null, field: FieldName): string | null {
  if (!problem) return null;
  const listed = problem.errors?.find((one) => fieldNamed(one.field) === field);
  if (listed) return listed.detail;
  return fieldNamed(problem.field) === field ? problem.detail : null;
}
