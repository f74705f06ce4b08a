import { useId } from "react";
import type { AccountSummary, Check, Mode, OrderPreview, OrderRequest } from "../../api/types";
import { money, price } from "../../format/money";
import { quantity } from "../../format/quantity";
import { clock } from "../../format/time";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Check as CheckIcon, Cross } from "../../ui/icons";
import { Fact, Notice, Tag } from "../../ui/surface";
import { ModeBadge } from "../frame/mode";
import { ruleTitle } from "../refusal";
import type { Ticket } from "./ticket";
import { orderLine } from "./words";

type Asking = Extract<Ticket, { step: "previewed" | "sending" | "unanswered" }>;

interface ConfirmProps {
  ticket: Asking;
  account: AccountSummary;
  onSend(): void;
  onBack(): void;
  returnTo(): HTMLElement | null;
}

/** What the order will do, each check with its number, and the one button that sends it. */
export default function Confirm({ ticket, account, onSend, onBack, returnTo }: ConfirmProps) {
  const { request, preview } = ticket;
  const form = useId();
  const sending = ticket.step === "sending";
  const verb = request.side === "buy" ? "Buy" : "Sell";
  return (
    <Dialog
      open
      onClose={onBack}
      returnTo={returnTo}
      title={`${verb} ${request.symbol}?`}
      description={orderLine(request)}
      footer={
        <>
          <Button onClick={onBack} disabled={sending} className="flex-1">
            Back
          </Button>
          <Button
            type="submit"
            form={form}
            look={request.side}
            disabled={sending || !preview.ok}
            className="flex-[2]"
          >
            {sending
              ? "Sending…"
              : ticket.step === "unanswered"
                ? "Send again"
                : `Place ${request.side} order`}
          </Button>
        </>
      }
    >
      <form
        id={form}
        onSubmit={(event) => {
          event.preventDefault();
          onSend();
        }}
      >
        <MoneyOf mode={preview.mode} account={account} />
        <div className="mb-3 flex flex-col gap-3 empty:hidden">
          {!preview.ok && (
            <Notice tone="bad" title="This order would be refused">
              {preview.refused ?? "Change it so that every check holds."}
            </Notice>
          )}
          {preview.needs_approval && (
            <Notice tone="warn" title="A second person has to agree">
              Orders above {money(preview.needs_approval.limit, account.currency)} wait for somebody
              else: so says the limit on {preview.needs_approval.scope.name}, set by{" "}
              {preview.needs_approval.set_by.name}.
            </Notice>
          )}
          {ticket.step === "unanswered" && (
            <Notice tone="warn" urgent title="No answer came">
              The desk may have the order. Sending again is safe: it is the same order, placed once.
            </Notice>
          )}
        </div>
        <Estimate request={request} preview={preview} currency={account.currency} />
        <ByDesk things={preview.done_by_desk} />

        <h3 className="mt-4 mb-1 text-xs font-semibold text-muted">Checks</h3>
        <ul className="divide-y divide-line rounded-md border border-line">
          {inOrder(preview.checks).map((check) => (
            <CheckRow key={check.rule} check={check} />
          ))}
        </ul>
      </form>
    </Dialog>
  );
}

/** Whether money is real: in words, in shape and in colour. */
function MoneyOf({ mode, account }: { mode: Mode; account: AccountSummary }) {
  const live = mode === "live";
  return (
    <div
      className={`mb-3 flex items-center gap-2 rounded-md px-3 py-2 ${
        live
          ? "border-2 border-sell bg-bad-ground text-down"
          : "border-2 border-dashed border-line text-muted"
      }`}
    >
      <ModeBadge mode={mode} />
      <span>
        {account.name}:{" "}
        {live ? <b className="text-ink">real money moves</b> : "no real money moves"}
      </span>
    </div>
  );
}

/** What the broker cannot do for this order, and the desk does. */
function ByDesk({ things }: { things: readonly string[] }) {
  if (things.length === 0) return null;
  return (
    <p className="mt-2 text-xs text-muted">
      <Tag tone="warn">by the desk</Tag> {things.map((one) => ruleTitle(one)).join(", ")}: the
      broker cannot. It is done as long as the desk runs.
    </p>
  );
}

function Estimate({
  request,
  preview,
  currency,
}: {
  request: OrderRequest;
  preview: OrderPreview;
  currency: string;
}) {
  const { take_profit, stop_loss } = request;
  return (
    <dl className="divide-y divide-line/60">
      {request.notional != null && (
        <Fact name="Units for the amount">{quantity(preview.quantity)}</Fact>
      )}
      <Fact name="Estimated price">
        {price(preview.estimated_price)}
        {preview.quote && (
          <span className="block text-2xs font-normal text-muted">
            bid {price(preview.quote.bid)} · ask {price(preview.quote.ask)} at{" "}
            {clock(preview.quote.quote_at)}
          </span>
        )}
      </Fact>
      {take_profit && <Fact name="Take-profit">{price(take_profit.limit_price)}</Fact>}
      {stop_loss && (
        <Fact name="Stop-loss">
          {price(stop_loss.stop_price)}
          {stop_loss.limit_price != null && `, limit ${price(stop_loss.limit_price)}`}
        </Fact>
      )}
      <Fact name="Notional">{money(preview.estimated_notional, currency)}</Fact>
      <Fact name="Fees">{money(preview.estimated_fee, currency)}</Fact>
      <Fact name="Estimated total">
        <span className="text-base">{money(preview.estimated_total, currency)}</span>
      </Fact>
      <Fact name="Buying power">
        {money(preview.buying_power_before, currency)}
        <span className="text-muted"> → </span>
        {money(preview.buying_power_after, currency)}
      </Fact>
    </dl>
  );
}

/** What fails first, as that is what has to be read. */
function inOrder(checks: readonly Check[]): readonly Check[] {
  return [...checks].sort((a, b) => Number(a.ok) - Number(b.ok));
}

/** What was asked, for rules whose titles say what went wrong. */
const ASKED: Record<string, string> = {
  symbol_unknown: "Symbol",
  symbol_not_allowed: "Symbols allowed",
  symbol_denied: "Symbols denied",
  no_quote: "Age of the quote",
  leg_side: "Side of the exit",
  stop_price_side: "Side of the stop",
  quantity_too_small: "Smallest quantity",
  quantity_too_large: "Largest quantity",
  price_off_tick: "Price step",
};

function CheckRow({ check }: { check: Check }) {
  return (
    <li className="flex items-start gap-2.5 px-3 py-2">
      <span className={`mt-0.5 ${check.ok ? "text-up" : "text-down"}`}>
        {check.ok ? <CheckIcon /> : <Cross />}
      </span>
      <div className="min-w-0 flex-1">
        <p className="font-medium">
          {check.ok ? (ASKED[check.rule] ?? check.title) : check.title}
          <span className="sr-only">{check.ok ? ": holds" : ": fails"}</span>
        </p>
        <p className="text-xs text-muted">{check.detail}</p>
        {check.scope && (
          <p className="text-2xs text-muted">
            set on {check.scope.name}
            {check.set_by && ` by ${check.set_by.name}`}
          </p>
        )}
      </div>
      {(check.value != null || check.limit != null) && (
        <dl className="text-right text-xs">
          {check.value != null && <CheckNumber name="value" text={check.value} />}
          {check.limit != null && <CheckNumber name="limit" text={check.limit} />}
        </dl>
      )}
    </li>
  );
}

function CheckNumber({ name, text }: { name: string; text: string }) {
  return (
    <div className="flex justify-end gap-1.5">
      <dt className="text-muted">{name}</dt>
      <dd>{price(text, "1")}</dd>
    </div>
  );
}
