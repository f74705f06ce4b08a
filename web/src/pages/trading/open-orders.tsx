import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { answer, api, idempotencyKey, problemOf } from "../../api/client";
import type { AccountSummary, Order, Problem } from "../../api/types";
import { price } from "../../format/money";
import { quantity } from "../../format/quantity";
import { clock } from "../../format/time";
import { orders } from "../../live/desk";
import { isOpen } from "../../live/orders";
import { useResource } from "../../live/resource";
import { Button } from "../../ui/controls";
import { type Column, Table } from "../../ui/table";
import { Refusal } from "../refusal";
import { useMay } from "../session";
import { SideAndSymbol, StatusTag } from "./words";

/** The orders that can still fill, live, each with a way to cancel it. */
export function OpenOrders({ account }: { account: AccountSummary }) {
  const { state } = useResource(orders(account.id));
  const may = useMay("orders.cancel") && account.access !== "view";
  const [refused, setRefused] = useState<Problem | null>(null);
  const columns = useMemo(() => openColumns(may, setRefused), [may]);
  const open = useMemo(() => (state ?? []).filter(isOpen), [state]);
  return (
    <>
      {refused && (
        <div className="p-3">
          <Refusal problem={refused} title="The order was not cancelled" />
        </div>
      )}
      <Table
        label="Open orders"
        columns={columns}
        rows={open}
        rowId={(order) => order.id}
        empty={state ? "No open orders." : "Loading…"}
        maxHeight="19rem"
      />
    </>
  );
}

function openColumns(mayCancel: boolean, onRefused: (problem: Problem | null) => void) {
  const columns: Column<Order>[] = [
    {
      id: "at",
      header: "Placed",
      cell: (o) => clock(o.created_at),
      sort: (o) => o.created_at,
      wide: true,
    },
    {
      id: "order",
      header: "Order",
      sort: (o) => `${o.symbol} ${o.side}`,
      cell: (o) => <SideAndSymbol of={o} />,
    },
    {
      id: "filled",
      header: "Filled / quantity",
      numeric: true,
      cell: (o) => `${quantity(o.filled_quantity)} / ${quantity(o.quantity)}`,
    },
    {
      id: "limit",
      header: "Price",
      numeric: true,
      cell: (o) => (o.type === "market" ? "market" : price(o.limit_price)),
      sort: (o) => Number(o.limit_price ?? 0),
    },
    {
      id: "until",
      header: "Until",
      cell: (o) => (o.time_in_force === "gtc" ? "cancelled" : "day"),
      wide: true,
    },
    { id: "status", header: "Status", cell: (o) => <StatusTag order={o} />, wide: true },
  ];
  if (mayCancel)
    columns.push({
      id: "cancel",
      header: "Cancel",
      numeric: true,
      cell: (o) => <CancelButton order={o} onRefused={onRefused} />,
    });
  return columns;
}

function CancelButton({
  order,
  onRefused,
}: {
  order: Order;
  onRefused(problem: Problem | null): void;
}) {
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
      <span className="sr-only">
        {" "}
        {order.side} {quantity(order.quantity)} {order.symbol}
      </span>
    </Button>
  );
}
