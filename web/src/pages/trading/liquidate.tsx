import { useState } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary } from "../../api/types";
import { Field } from "../../ui/controls";
import { Notice } from "../../ui/surface";
import { Decision } from "../decision";
import { ModeBadge } from "../frame/mode";
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
  const [typed, setTyped] = useState("");
  return (
    <Decision
      title={`Liquidate ${account.name}?`}
      description={`Cancels every open order and closes ${held === 1 ? "the position" : `all ${held} positions`} at the market.`}
      act={(key) =>
        answer(
          api.POST("/api/v1/accounts/{id}/liquidate", {
            params: { path: { id: account.id }, header: { "Idempotency-Key": key } },
          }),
        )
      }
      button="Liquidate"
      busy="Liquidating…"
      look="sell"
      ready={typed.trim() === WORD}
      refused="The account was not liquidated"
      changes={["orders"]}
      outcome={({ items }) => ({
        title: `${account.name} is being liquidated`,
        description: "Open orders are cancelled; this was sent for what was held.",
        content: (
          <ul className="flex flex-col gap-2">
            {items.map((one) => (
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
            {items.length === 0 && <li>There was nothing to close.</li>}
          </ul>
        ),
      })}
      returnTo={returnTo}
      onClose={onClose}
    >
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
    </Decision>
  );
}
