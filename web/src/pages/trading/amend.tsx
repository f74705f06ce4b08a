import { useState } from "react";
import { answer, api } from "../../api/client";
import type { Order, TimeInForce } from "../../api/types";
import { sign } from "../../format/decimal";
import { quantity } from "../../format/quantity";
import { Field, Select } from "../../ui/controls";
import { Decision } from "../decision";
import { ModeBadge } from "../frame/mode";
import { amendmentOf, type ChangeField, changeable, changeOf, wrongIn } from "./amendment";
import { orderLine, TIMES } from "./words";

const LABELS: Record<ChangeField, string> = {
  quantity: "Quantity in all",
  limit_price: "Limit price",
  stop_price: "Stop price",
  trail: "Trail",
};

interface AmendProps {
  order: Order;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Changes an open order: the broker puts a new one in its place. */
export function Amend({ order, returnTo, onClose }: AmendProps) {
  const [change, setChange] = useState(() => changeOf(order));
  const [shown, setShown] = useState(false);
  const amendment = amendmentOf(order, change);
  const mistakes = shown ? wrongIn(order, change) : {};
  return (
    <Decision
      title="Change the order"
      description={orderLine(order)}
      act={(key) =>
        answer(
          api.PATCH("/api/v1/orders/{id}", {
            params: { path: { id: order.id }, header: { "Idempotency-Key": key } },
            body: { ...amendment, client_order_id: key },
          }),
        )
      }
      button="Send the change"
      busy="Sending…"
      look={order.side}
      ready={amendment !== null}
      check={() => {
        setShown(true);
        return Object.keys(wrongIn(order, change)).length === 0;
      }}
      refused="The order was not changed"
      changes={["orders"]}
      returnTo={returnTo}
      onClose={onClose}
    >
      {(errorAt) => (
        <>
          <p className="flex items-center gap-2 text-muted">
            <ModeBadge mode={order.mode} />
            {sign(order.filled_quantity) > 0
              ? `${quantity(order.filled_quantity)} are filled already and count in.`
              : "Nothing is filled yet."}
          </p>
          {changeable(order).map((field) => (
            <Field
              key={field}
              name={field}
              label={LABELS[field]}
              unit={field === "trail" && order.trail_percent !== null ? "per cent" : undefined}
              inputMode="decimal"
              value={change[field]}
              error={mistakes[field] ?? errorAt(asked(field, order))}
              onChange={(event) => setChange({ ...change, [field]: event.target.value })}
            />
          ))}
          {(order.time_in_force === "day" || order.time_in_force === "gtc") && (
            <Select
              label="Time in force"
              value={change.time_in_force}
              onChange={(event) =>
                setChange({ ...change, time_in_force: event.target.value as TimeInForce })
              }
            >
              <option value="day">{TIMES.day}</option>
              <option value="gtc">{TIMES.gtc}</option>
            </Select>
          )}
        </>
      )}
    </Decision>
  );
}

/** What the desk calls the field: a trail is one of two. */
function asked(field: ChangeField, order: Order): string {
  if (field !== "trail") return field;
  return order.trail_percent === null ? "trail_price" : "trail_percent";
}
