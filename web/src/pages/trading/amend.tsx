import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { answer, api, idempotencyKey, problemOf } from "../../api/client";
import type { Order, OrderAmendment, TimeInForce } from "../../api/types";
import { sign } from "../../format/decimal";
import { quantity } from "../../format/quantity";
import { Button, Field, Select } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { ModeBadge } from "../frame/mode";
import { Refusal } from "../refusal";
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
  const client = useQueryClient();
  const form = useId();
  const [change, setChange] = useState(() => changeOf(order));
  const [shown, setShown] = useState(false);
  // One key for one change, however often it is sent.
  const [key] = useState(idempotencyKey);
  const send = useMutation({
    mutationFn: (body: OrderAmendment) =>
      answer(
        api.PATCH("/api/v1/orders/{id}", {
          params: { path: { id: order.id }, header: { "Idempotency-Key": key } },
          body: { ...body, client_order_id: key },
        }),
      ),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["orders"] });
      onClose();
    },
  });
  const amendment = amendmentOf(order, change);
  const mistakes = shown ? wrongIn(order, change) : {};
  const problem = send.error ? problemOf(send.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setShown(true);
    if (!amendment || send.isPending || Object.keys(wrongIn(order, change)).length > 0) return;
    send.mutate(amendment);
  };
  return (
    <Dialog
      open
      onClose={onClose}
      returnTo={returnTo}
      title="Change the order"
      description={orderLine(order)}
      footer={
        <>
          <Button className="flex-1" onClick={onClose}>
            Back
          </Button>
          <Button
            type="submit"
            form={form}
            look={order.side}
            className="flex-[2]"
            disabled={!amendment || send.isPending}
          >
            {send.isPending ? "Sending…" : "Send the change"}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
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
            error={mistakes[field] ?? (problem?.field?.startsWith(field) ? problem.detail : null)}
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
        {problem && <Refusal problem={problem} title="The order was not changed" />}
      </form>
    </Dialog>
  );
}
