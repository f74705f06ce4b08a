import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo, useRef } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary, Order } from "../../api/types";
import { averagePrice, money } from "../../format/money";
import { quantity } from "../../format/quantity";
import { type Placed, withLegs } from "../../live/orders";
import { DateTime } from "../../ui/date-time";
import { Download } from "../../ui/download";
import { type Column, Table } from "../../ui/table";
import { More, nothing, usePages } from "../paging";
import { everyPage, ordersCsv } from "./export";
import { OrderCell } from "./order-cells";
import { OrderTrail } from "./order-trail";
import { orderLine, priceWords, StatusTag, TYPES } from "./words";

/** Every order of the account, newest first, legs below their parents; pressed, one shows its trail. */
export function OrderHistory({ account }: { account: AccountSummary }) {
  const { status = "all", symbol, order } = useSearch({ from: "/orders" });
  const navigate = useNavigate({ from: "/orders" });
  const load = useCallback(
    (cursor?: string, limit = 100) =>
      answer(
        api.GET("/api/v1/orders", {
          params: { query: { account_id: account.id, status, symbol, cursor, limit } },
        }),
      ),
    [account.id, status, symbol],
  );
  const pages = usePages<Order>(["orders", account.id, status, symbol], load);
  const placed = useMemo(() => withLegs(pages.rows), [pages.rows]);
  const opener = useRef<HTMLElement | null>(null);
  const open = useCallback(
    (id: string | undefined) => navigate({ search: (old) => ({ ...old, order: id }) }),
    [navigate],
  );
  const columns = useMemo(
    () =>
      historyColumns((id, from) => {
        opener.current = from;
        void open(id);
      }),
    [open],
  );
  return (
    <>
      <Table
        label="Orders"
        columns={columns}
        rows={placed}
        rowId={({ order: one }) => one.id}
        empty={nothing(pages, "No orders yet. Place one on the desk.")}
        maxHeight="calc(100dvh - 19rem)"
      />
      <More pages={pages}>
        <Download
          label="Orders as CSV"
          name="orders.csv"
          text={async () => ordersCsv(await everyPage((cursor) => load(cursor, 1000)))}
        />
      </More>
      {order && (
        <OrderTrail
          id={order}
          known={pages.rows.find((one) => one.id === order)}
          returnTo={() => opener.current}
          onOpen={(id) => void open(id)}
          onClose={() => void open(undefined)}
        />
      )}
    </>
  );
}

function historyColumns(open: (id: string, from: HTMLElement) => void): Column<Placed>[] {
  return [
    {
      id: "at",
      header: "Placed",
      cell: ({ order }) => (
        <button
          type="button"
          className="min-h-8 text-left text-accent underline-offset-2 hover:underline"
          onClick={(event) => open(order.id, event.currentTarget)}
        >
          <DateTime at={order.created_at} />
          <span className="sr-only">, trail of: {orderLine(order)}</span>
        </button>
      ),
    },
    { id: "order", header: "Order", cell: (placed) => <OrderCell placed={placed} /> },
    { id: "type", header: "Type", cell: ({ order }) => TYPES[order.type], wide: true },
    {
      id: "filled",
      header: "Filled / quantity",
      numeric: true,
      cell: ({ order }) => `${quantity(order.filled_quantity)} / ${quantity(order.quantity)}`,
    },
    {
      id: "price",
      header: "Price",
      numeric: true,
      wide: true,
      cell: ({ order }) => priceWords(order),
    },
    {
      id: "average",
      header: "Average fill",
      numeric: true,
      wide: true,
      cell: ({ order }) => averagePrice(order.average_fill_price),
    },
    {
      id: "fees",
      header: "Fees",
      numeric: true,
      wide: true,
      cell: ({ order }) => money(order.fees),
    },
    {
      id: "by",
      header: "Placed by",
      wide: true,
      cell: ({ order }) => (
        <>
          {order.submitted_by.name}
          {order.strategy && <span className="block text-2xs text-muted">{order.strategy}</span>}
        </>
      ),
    },
    { id: "status", header: "Status", cell: ({ order }) => <StatusTag order={order} /> },
  ];
}
