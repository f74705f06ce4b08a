import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { answer, api, idempotencyKey, problemOf } from "../../api/client";
import type { AccountSummary } from "../../api/types";
import { Button, Field } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Notice } from "../../ui/surface";
import { ModeBadge } from "../frame/mode";
import { Refusal } from "../refusal";
import { orderLine } from "./words";

const WORD = "LIQUIDATE";

interface LiquidateProps {
  account: AccountSummary;
  /** How many positions there are. */
  held: number;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Cancels every order and closes every position of an account, after a word was typed. */
export function Liquidate({ account, held, returnTo, onClose }: LiquidateProps) {
  const client = useQueryClient();
  const form = useId();
  const [typed, setTyped] = useState("");
  const [key] = useState(idempotencyKey);
  const sell = useMutation({
    mutationFn: () =>
      answer(
        api.POST("/api/v1/accounts/{id}/liquidate", {
          params: { path: { id: account.id }, header: { "Idempotency-Key": key } },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ["orders"] }),
  });
  const right = typed.trim() === WORD;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (right && !sell.isPending && !sell.data) sell.mutate();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      returnTo={returnTo}
      title={`Liquidate ${account.name}?`}
      description={`Cancels every open order and closes ${held === 1 ? "the position" : `all ${held} positions`} at the market.`}
      footer={
        sell.data ? (
          <Button className="flex-1" onClick={onClose}>
            Close
          </Button>
        ) : (
          <>
            <Button className="flex-1" onClick={onClose}>
              Back
            </Button>
            <Button
              type="submit"
              form={form}
              look="sell"
              className="flex-[2]"
              disabled={!right || sell.isPending}
            >
              {sell.isPending ? "Liquidating…" : "Liquidate"}
            </Button>
          </>
        )
      }
    >
      {sell.data ? (
        <ul className="flex flex-col gap-2">
          {sell.data.items.map((one) => (
            <li key={one.symbol}>
              {one.order ? (
                <Notice tone="good" title={one.symbol}>
                  {orderLine(one.order)}
                </Notice>
              ) : (
                <Notice tone="bad" title={`${one.symbol} stays open`}>
                  {one.problem?.detail}
                </Notice>
              )}
            </li>
          ))}
          {sell.data.items.length === 0 && <li>There was nothing to close.</li>}
        </ul>
      ) : (
        <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
          <p className="flex items-center gap-2 text-muted">
            <ModeBadge mode={account.mode} />
            {account.mode === "live" ? "Real money moves." : "No real money moves."}
          </p>
          <Field
            data-first-focus
            label={`Type ${WORD} to go on`}
            name="word"
            autoCapitalize="characters"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
          {sell.error && (
            <Refusal problem={problemOf(sell.error)} title="The account was not liquidated" />
          )}
        </form>
      )}
    </Dialog>
  );
}
