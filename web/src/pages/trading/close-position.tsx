import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { answer, api, idempotencyKey, problemOf } from "../../api/client";
import type { AccountSummary, Position } from "../../api/types";
import { isPositiveDecimal, sign } from "../../format/decimal";
import { money } from "../../format/money";
import { quantity } from "../../format/quantity";
import { Button, Choice, Field } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Fact } from "../../ui/surface";
import { ModeBadge } from "../frame/mode";
import { Refusal } from "../refusal";
import { Pnl } from "./pnl";

interface ClosePositionProps {
  account: AccountSummary;
  position: Position;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Closes a position at the market, the whole of it or a part. */
export function ClosePosition({ account, position, returnTo, onClose }: ClosePositionProps) {
  const client = useQueryClient();
  const form = useId();
  const [part, setPart] = useState<"whole" | "part">("whole");
  const [typed, setTyped] = useState("");
  const [shown, setShown] = useState(false);
  // One key for one order, however often it is sent.
  const [key] = useState(idempotencyKey);
  const bad = part === "part" && !isPositiveDecimal(typed);
  const long = sign(position.quantity) > 0;
  const close = useMutation({
    mutationFn: () =>
      answer(
        api.POST("/api/v1/accounts/{id}/positions/{symbol}/close", {
          params: {
            path: { id: account.id, symbol: position.symbol },
            header: { "Idempotency-Key": key },
          },
          body: { client_order_id: key, ...(part === "part" && { quantity: typed.trim() }) },
        }),
      ),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["orders"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setShown(true);
    if (!bad && !close.isPending) close.mutate();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      returnTo={returnTo}
      title={`Close ${position.symbol}`}
      description={`A market order ${long ? "sells" : "buys back"} what is held.`}
      footer={
        <>
          <Button className="flex-1" onClick={onClose}>
            Back
          </Button>
          <Button
            type="submit"
            form={form}
            look={long ? "sell" : "buy"}
            className="flex-[2]"
            disabled={close.isPending}
          >
            {close.isPending
              ? "Sending…"
              : `${long ? "Sell" : "Buy"} ${part === "whole" ? quantity(position.quantity.replace("-", "")) : "the part"}`}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
        <p className="flex items-center gap-2 text-muted">
          <ModeBadge mode={account.mode} />
          {account.name}: {account.mode === "live" ? "real money moves" : "no real money moves"}
        </p>
        <dl className="divide-y divide-line/60">
          <Fact name="Held">{quantity(position.quantity)}</Fact>
          <Fact name="Worth now">{money(position.market_value, account.currency)}</Fact>
          <Fact name="Unrealised">
            <Pnl amount={position.unrealised_pnl} currency={account.currency} />
          </Fact>
        </dl>
        <Choice
          label="How much"
          value={part}
          onChange={(next: "whole" | "part") => setPart(next)}
          options={[
            { value: "whole", text: "The whole" },
            { value: "part", text: "A part" },
          ]}
        />
        {part === "part" && (
          <Field
            label="Quantity to close"
            name="quantity"
            inputMode="decimal"
            value={typed}
            error={shown && bad ? "A number above zero" : null}
            onChange={(event) => setTyped(event.target.value)}
          />
        )}
        {close.error && (
          <Refusal problem={problemOf(close.error)} title="The position was not closed" />
        )}
      </form>
    </Dialog>
  );
}
