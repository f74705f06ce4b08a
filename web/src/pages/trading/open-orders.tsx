import { useMemo, useState } from "react";
import type { AccountSummary, Problem } from "../../api/types";
import { quantity } from "../../format/quantity";
import { clock } from "../../format/time";
import { orders } from "../../live/desk";
import { isOpen, type Placed, withLegs } from "../../live/orders";
import { useResource } from "../../live/resource";
import { type Column, Table } from "../../ui/table";
import { Refusal } from "../refusal";
import { useMay } from "../session";
import { AmendButton, CancelAll, CancelButton } from "./order-acts";
import { OrderCell, PriceCell } from "./order-cells";
import { StatusTag } from "./words";

/** The orders that can still fill, live, legs below their parents, each with a way to change and to cancel it. */
export function OpenOrders({ account }: { account: AccountSummary }) {
  const { state } = useResource(orders(account.id));
  const mayCancel = useMay("orders.cancel") && account.access !== "view";
  const mayPlace = useMay("orders.place") && account.access !== "view";
  const [refused, setRefused] = useState<Problem | null>(null);
  const columns = useMemo(
    () => openColumns(mayPlace, mayCancel, setRefused),
    [mayPlace, mayCancel],
  );
  const open = useMemo(() => (state ?? []).filter(isOpen), [state]);
  const placed = useMemo(() => withLegs(open), [open]);
  return (
    <>
      {refused && (
        <div className="p-3">
          <Refusal problem={refused} title="The order was not cancelled" />
        </div>
      )}
      {mayCancel && open.length > 0 && (
        <div className="flex justify-end border-b border-line/60 px-3 py-1.5">
          <CancelAll account={account} open={open} />
        </div>
      )}
      <Table
        label="Open orders"
        columns={columns}
        rows={placed}
        rowId={({ order }) => order.id}
        empty={state ? "No open orders." : "Loading…"}
        maxHeight="19rem"
      />
    </>
  );
}

function openColumns(
  mayAmend: boolean,
  mayCancel: boolean,
  onRefused: (problem: Problem | null) => void,
) {
  const columns: Column<Placed>[] = [
    {
      id: "at",
      header: "Placed",
      cell: ({ order }) => clock(order.created_at),
      sort: ({ order }) => order.created_at,
      wide: true,
    },
    {
      id: "order",
      header: "Order",
      sort: ({ order }) => `${order.symbol} ${order.side}`,
      cell: (placed) => <OrderCell placed={placed} />,
    },
    {
      id: "filled",
      header: "Filled / quantity",
      numeric: true,
      cell: ({ order }) => `${quantity(order.filled_quantity)} / ${quantity(order.quantity)}`,
    },
    { id: "price", header: "Price", numeric: true, cell: ({ order }) => <PriceCell of={order} /> },
    {
      id: "status",
      header: "Status",
      cell: ({ order }) => <StatusTag order={order} />,
      wide: true,
    },
  ];
  if (mayCancel)
    columns.push({
      id: "acts",
      header: mayAmend ? "Change" : "Cancel",
      numeric: true,
      cell: ({ order }) => (
        <span className="inline-flex gap-1.5 max-sm:flex-col">
          {mayAmend && <AmendButton order={order} />}
          <CancelButton order={order} onRefused={onRefused} />
        </span>
      ),
    });
  return columns;
}
