import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { answer, api, idempotencyKey, problemOf } from "../../api/client";
import type { AccountSummary, Order, Problem } from "../../api/types";
import { isOpen } from "../../live/orders";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Refusal } from "../refusal";
import { Amend } from "./amend";
import { lack, useVenue } from "./venue";
import { orderLine } from "./words";

interface ActProps {
  order: Order;
  onRefused(problem: Problem | null): void;
}

/** Asks the desk to cancel an order. */
export function CancelButton({ order, onRefused }: ActProps) {
  const client = useQueryClient();
  const cancel = useMutation({
    mutationFn: () =>
      answer(
        api.POST("/api/v1/orders/{id}/cancel", {
          params: { path: { id: order.id }, header: { "Idempotency-Key": idempotencyKey() } },
        }),
      ),
    onMutate: () => onRefused(null),
    onError: (error) => onRefused(problemOf(error)),
    onSuccess: () => client.invalidateQueries({ queryKey: ["orders"] }),
  });
  const asked = cancel.isPending || order.status === "cancel_pending";
  return (
    <Button small look="danger" disabled={asked} onClick={() => cancel.mutate()}>
      {asked ? "Cancelling…" : "Cancel"}
      <span className="sr-only"> {orderLine(order)}</span>
    </Button>
  );
}

/** Opens the dialog that changes an order; says why where it cannot. */
export function AmendButton({ order }: { order: Order }) {
  const venue = useVenue(order.account_id);
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const why = lack(venue, "features", "replace") ?? fixed(order);
  return (
    <>
      <Button
        ref={button}
        small
        disabled={why !== null}
        title={why ?? undefined}
        onClick={() => setOpen(true)}
      >
        Change
        <span className="sr-only"> {orderLine(order)}</span>
      </Button>
      {open && (
        <Amend order={order} returnTo={() => button.current} onClose={() => setOpen(false)} />
      )}
    </>
  );
}

/** Why an order cannot be changed at this moment. */
function fixed(order: Order): string | null {
  if (order.type === "market") return "A market order has no price to change.";
  if (["working", "partially_filled", "held"].includes(order.status)) return null;
  return "It can be changed when the broker has taken it.";
}

interface CancelAllProps {
  account: AccountSummary;
  open: readonly Order[];
}

/** Cancels every open order of the account, after a second look. */
export function CancelAll({ account, open }: CancelAllProps) {
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const count = open.filter(isOpen).length;
  const cancel = useMutation({
    mutationFn: () =>
      answer(
        api.POST("/api/v1/accounts/{id}/orders/cancel-all", {
          params: { path: { id: account.id }, header: { "Idempotency-Key": idempotencyKey() } },
        }),
      ),
    onSuccess: () => {
      setAsking(false);
      void client.invalidateQueries({ queryKey: ["orders"] });
    },
  });
  return (
    <>
      <Button
        ref={button}
        small
        look="danger"
        disabled={count === 0}
        onClick={() => setAsking(true)}
      >
        Cancel all
      </Button>
      {asking && (
        <Dialog
          open
          onClose={() => setAsking(false)}
          returnTo={() => button.current}
          title={`Cancel ${count === 1 ? "the open order" : `all ${count} open orders`} of ${account.name}?`}
          description="What is filled until the broker answers stays filled."
          footer={
            <>
              <Button className="flex-1" onClick={() => setAsking(false)}>
                Keep them
              </Button>
              <Button
                look="danger"
                className="flex-1"
                disabled={cancel.isPending}
                onClick={() => cancel.mutate()}
              >
                {cancel.isPending ? "Cancelling…" : "Cancel all orders"}
              </Button>
            </>
          }
        >
          {cancel.error && (
            <Refusal problem={problemOf(cancel.error)} title="The orders were not cancelled" />
          )}
        </Dialog>
      )}
    </>
  );
}
