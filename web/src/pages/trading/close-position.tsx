import { useState } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary, Position } from "../../api/types";
import { isPositiveDecimal, sign } from "../../format/decimal";
import { money } from "../../format/money";
import { quantity } from "../../format/quantity";
import { Choice, Field } from "../../ui/controls";
import { Fact } from "../../ui/surface";
import { Decision } from "../decision";
import { ModeBadge } from "../frame/mode";
import { Pnl } from "./pnl";
import { FromFills, Reckoned } from "./reckoned";
import { marketValue, unrealisedOf } from "./reckoning";

interface ClosePositionProps {
  account: AccountSummary;
  position: Position;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Closes a position at the market, the whole of it or a part. */
export function ClosePosition({ account, position, returnTo, onClose }: ClosePositionProps) {
  const [part, setPart] = useState<"whole" | "part">("whole");
  const [typed, setTyped] = useState("");
  const [shown, setShown] = useState(false);
  const bad = part === "part" && !isPositiveDecimal(typed);
  const long = sign(position.quantity) > 0;
  return (
    <Decision
      title={`Close ${position.symbol}`}
      description={`A market order ${long ? "sells" : "buys back"} what is held.`}
      act={(key) =>
        answer(
          api.POST("/api/v1/accounts/{id}/positions/{symbol}/close", {
            params: {
              path: { id: account.id, symbol: position.symbol },
              header: { "Idempotency-Key": key },
            },
            body: { client_order_id: key, ...(part === "part" && { quantity: typed.trim() }) },
          }),
        )
      }
      button={`${long ? "Sell" : "Buy"} ${part === "whole" ? quantity(position.quantity.replace("-", "")) : "the part"}`}
      busy="Sending…"
      look={long ? "sell" : "buy"}
      check={() => {
        setShown(true);
        return !bad;
      }}
      refused="The position was not closed"
      changes={["orders"]}
      returnTo={returnTo}
      onClose={onClose}
    >
      <p className="flex items-center gap-2 text-muted">
        <ModeBadge mode={account.mode} />
        {account.name}: {account.mode === "live" ? "real money moves" : "no real money moves"}
      </p>
      <dl className="divide-y divide-line/60">
        <Fact name="Held">
          <FromFills
            of="held"
            whose={{ account_id: account.id, symbol: position.symbol }}
            amount={position.quantity}
          >
            {quantity(position.quantity)}
          </FromFills>
        </Fact>
        <Fact name="Worth now">
          <Reckoned of={marketValue(position)} currency={account.currency}>
            {money(position.market_value, account.currency)}
          </Reckoned>
        </Fact>
        <Fact name="Unrealised">
          <Reckoned of={unrealisedOf(position)} currency={account.currency}>
            <Pnl amount={position.unrealised_pnl} currency={account.currency} />
          </Reckoned>
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
    </Decision>
  );
}
