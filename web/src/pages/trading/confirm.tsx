import { useId } from "react";
import type { AccountSummary, Check, OrderPreview } from "../../api/types";
import { money, price } from "../../format/money";
import { clock } from "../../format/time";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Check as CheckIcon, Cross } from "../../ui/icons";
import { Fact, Notice } from "../../ui/surface";
import { ModeBadge } from "../frame/mode";
import { ruleTitle } from "../refusal";
import type { Ticket } from "./ticket";
import { orderLine } from "./words";

type Asking = Extract<Ticket, { step: "previewed" | "sending" | "unanswered" }>;

/** What each rule looks at. Rules are named after their breach, which reads wrong beside a tick. */
const CHECKED: Record<string, string> = {
  symbol_unknown: "Symbol",
  quantity_invalid: "Quantity",
  quantity_too_small: "Smallest quantity",
  quantity_too_large: "Largest quantity",
  price_off_tick: "Price step",
  price_collar: "Distance from the market",
  notional_too_large: "Worth of one order",
  buying_power: "Buying power",
  position_too_small: "Position to sell",
  no_quote: "Fresh quote",
};

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
        <div className="mb-3 flex items-center gap-2 text-muted">
          <ModeBadge mode={preview.mode} />
          <span>
            {account.name}
            {preview.mode === "paper" ? ": no real money moves" : ": real money moves"}
          </span>
        </div>

        <Estimate preview={preview} currency={account.currency} />

        <h3 className="mt-4 mb-1 text-xs font-semibold text-muted">Checks</h3>
        <ul className="divide-y divide-line rounded-md border border-line">
          {preview.checks.map((check) => (
            <CheckRow key={check.rule} check={check} />
          ))}
        </ul>

        {!preview.ok && (
          <div className="mt-3">
            <Notice tone="bad" title="This order would be refused">
              Change it so that every check holds.
            </Notice>
          </div>
        )}
        {ticket.step === "unanswered" && (
          <div className="mt-3">
            <Notice tone="warn" urgent title="No answer came">
              The desk may have the order. Sending again is safe: it is the same order, placed once.
            </Notice>
          </div>
        )}
      </form>
    </Dialog>
  );
}

function Estimate({ preview, currency }: { preview: OrderPreview; currency: string }) {
  return (
    <dl className="divide-y divide-line/60">
      <Fact name="Estimated price">
        {price(preview.estimated_price)}
        {preview.quote && (
          <span className="block text-2xs font-normal text-muted">
            bid {price(preview.quote.bid)} · ask {price(preview.quote.ask)} at{" "}
            {clock(preview.quote.quote_at)}
          </span>
        )}
      </Fact>
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

function CheckRow({ check }: { check: Check }) {
  return (
    <li className="flex items-start gap-2.5 px-3 py-2">
      <span className={`mt-0.5 ${check.ok ? "text-up" : "text-down"}`}>
        {check.ok ? <CheckIcon /> : <Cross />}
      </span>
      <div className="min-w-0 flex-1">
        <p className="font-medium">
          {CHECKED[check.rule] ?? ruleTitle(check.rule)}
          <span className="sr-only">{check.ok ? ": holds" : ": fails"}</span>
        </p>
        <p className="text-xs text-muted">{check.detail}</p>
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
