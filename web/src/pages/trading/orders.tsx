import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useRef } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary, Fill, Order, OrderEvent } from "../../api/types";
import { money, price } from "../../format/money";
import { quantity } from "../../format/quantity";
import { clock } from "../../format/time";
import { loadSymbols } from "../../live/market";
import { Select } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Dialog } from "../../ui/dialog";
import { Empty, Fact, Panel } from "../../ui/surface";
import { type Column, Table } from "../../ui/table";
import { Tabs } from "../../ui/tabs";
import { More, nothing, usePages } from "../paging";
import { ruleTitle } from "../refusal";
import { useAccount } from "../session";
import { Pnl } from "./pnl";
import { orderLine, SideAndSymbol, StatusTag, statusWord } from "./words";

/** Every order of the account and every fill, newest first. */
export function Orders() {
  const account = useAccount();
  const { tab = "orders" } = useSearch({ from: "/orders" });
  const navigate = useNavigate({ from: "/orders" });
  if (!account) return <Empty>No account is granted to you.</Empty>;
  return (
    <Panel title={<h1>Orders of {account.name}</h1>} aside={<Filters />}>
      <Tabs
        label="Orders and fills"
        value={tab}
        onChange={(next) => navigate({ search: (old) => ({ ...old, tab: next as typeof tab }) })}
        tabs={[
          { value: "orders", text: "Orders", content: <OrderHistory account={account} /> },
          { value: "fills", text: "Fills", content: <Fills account={account} /> },
        ]}
      />
    </Panel>
  );
}

function Filters() {
  const { status = "all", symbol = "", tab } = useSearch({ from: "/orders" });
  const navigate = useNavigate({ from: "/orders" });
  const symbols = useQuery({ queryKey: ["symbols"], queryFn: loadSymbols }).data ?? [];
  return (
    <div className="flex gap-2">
      {tab !== "fills" && (
        <Select
          bare
          label="Status"
          value={status}
          onChange={(event) =>
            navigate({ search: (old) => ({ ...old, status: event.target.value as typeof status }) })
          }
        >
          <option value="all">All</option>
          <option value="open">Open</option>
          <option value="closed">Closed</option>
        </Select>
      )}
      <Select
        bare
        label="Symbol"
        value={symbol}
        onChange={(event) =>
          navigate({ search: (old) => ({ ...old, symbol: event.target.value || undefined }) })
        }
      >
        <option value="">Every symbol</option>
        {symbols.map((one) => (
          <option key={one.symbol}>{one.symbol}</option>
        ))}
      </Select>
    </div>
  );
}

function OrderHistory({ account }: { account: AccountSummary }) {
  const { status = "all", symbol, order } = useSearch({ from: "/orders" });
  const navigate = useNavigate({ from: "/orders" });
  const pages = usePages<Order>(["orders", account.id, status, symbol], (cursor) =>
    answer(
      api.GET("/api/v1/orders", {
        params: { query: { account_id: account.id, status, symbol, cursor, limit: 100 } },
      }),
    ),
  );
  const opener = useRef<HTMLElement | null>(null);
  const columns = useMemo(
    () =>
      historyColumns((id, from) => {
        opener.current = from;
        void navigate({ search: (old) => ({ ...old, order: id }) });
      }),
    [navigate],
  );
  return (
    <>
      <Table
        label="Orders"
        columns={columns}
        rows={pages.rows}
        rowId={(one) => one.id}
        empty={nothing(pages, "No orders yet. Place one on the desk.")}
        maxHeight="calc(100dvh - 19rem)"
      />
      <More pages={pages} />
      {order && (
        <Trail
          id={order}
          known={pages.rows.find((one) => one.id === order)}
          returnTo={() => opener.current}
          onClose={() => navigate({ search: (old) => ({ ...old, order: undefined }) })}
        />
      )}
    </>
  );
}

function historyColumns(open: (id: string, from: HTMLElement) => void): Column<Order>[] {
  return [
    {
      id: "at",
      header: "Placed",
      cell: (o) => (
        <button
          type="button"
          className="min-h-8 text-left text-accent underline-offset-2 hover:underline"
          onClick={(event) => open(o.id, event.currentTarget)}
        >
          <DateTime at={o.created_at} />
          <span className="sr-only">, trail of: {orderLine(o)}</span>
        </button>
      ),
    },
    { id: "order", header: "Order", cell: (o) => <SideAndSymbol of={o} /> },
    { id: "type", header: "Type", cell: (o) => ruleTitle(o.type), wide: true },
    {
      id: "filled",
      header: "Filled / quantity",
      numeric: true,
      cell: (o) => `${quantity(o.filled_quantity)} / ${quantity(o.quantity)}`,
    },
    {
      id: "limit",
      header: "Limit price",
      numeric: true,
      wide: true,
      cell: (o) => price(o.limit_price),
    },
    {
      id: "average",
      header: "Average fill",
      numeric: true,
      wide: true,
      cell: (o) => price(o.average_fill_price),
    },
    { id: "fees", header: "Fees", numeric: true, wide: true, cell: (o) => money(o.fees) },
    { id: "by", header: "Placed by", wide: true, cell: (o) => o.submitted_by.name },
    { id: "status", header: "Status", cell: (o) => <StatusTag order={o} /> },
  ];
}

interface TrailProps {
  id: string;
  known: Order | undefined;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** One order and everything that happened to it, in order. */
function Trail({ id, known, returnTo, onClose }: TrailProps) {
  const path = { id };
  const loaded = useQuery({
    queryKey: ["orders", "one", id],
    queryFn: () => answer(api.GET("/api/v1/orders/{id}", { params: { path } })),
    enabled: known === undefined,
  });
  const events = useQuery({
    queryKey: ["order-events", id],
    queryFn: () => answer(api.GET("/api/v1/orders/{id}/events", { params: { path } })),
  });
  const order = known ?? loaded.data;
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      returnTo={returnTo}
      title="Trail of the order"
      description={order ? orderLine(order) : "Loading…"}
    >
      {order && (
        <dl className="grid gap-x-8 sm:grid-cols-2">
          <Fact name="Status">{statusWord(order.status)}</Fact>
          <Fact name="Filled">
            {quantity(order.filled_quantity)} of {quantity(order.quantity)}
          </Fact>
          <Fact name="Average fill">{price(order.average_fill_price)}</Fact>
          <Fact name="Fees">{money(order.fees)}</Fact>
          <Fact name="Client order id">
            <code className="text-2xs">{order.client_order_id}</code>
          </Fact>
          <Fact name="Broker order id">
            <code className="text-2xs">{order.broker_order_id ?? "–"}</code>
          </Fact>
          {order.reason && <Fact name="Reason">{order.reason}</Fact>}
        </dl>
      )}
      <h3 className="mt-4 mb-2 text-xs font-semibold text-muted">Events</h3>
      {events.isPending && <p className="text-muted">Loading…</p>}
      {/* The journal begins where the desk first acts on the order; how it came stands in the order. */}
      <ol className="relative ml-1.5 border-l border-line">
        {order && events.data?.items[0]?.kind !== "accepted" && (
          <Step
            event={{
              seq: 0,
              at: order.created_at,
              kind: "accepted",
              detail: { from: order.submitted_by.name, mode: order.mode },
            }}
          />
        )}
        {events.data?.items.map((event) => (
          <Step key={event.seq} event={event} />
        ))}
      </ol>
    </Dialog>
  );
}

function Step({ event }: { event: OrderEvent }) {
  const facts = Object.entries(event.detail).filter(([, value]) => value !== null);
  return (
    <li className="relative pb-3 pl-4">
      <span className="absolute top-1.5 -left-[4.5px] size-2 rounded-full bg-line-strong" />
      <p>
        <b className="font-semibold">{ruleTitle(event.kind)}</b>{" "}
        <span className="text-xs text-muted">{clock(event.at)}</span>
      </p>
      {facts.length > 0 && (
        <p className="text-xs wrap-anywhere text-muted">
          {facts.map(([name, value]) => `${name.replaceAll("_", " ")} ${plain(value)}`).join(" · ")}
        </p>
      )}
    </li>
  );
}

function plain(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function Fills({ account }: { account: AccountSummary }) {
  const { symbol } = useSearch({ from: "/orders" });
  const pages = usePages<Fill>(["fills", account.id, symbol, "pages"], (cursor) =>
    answer(
      api.GET("/api/v1/fills", {
        params: { query: { account_id: account.id, symbol, cursor, limit: 100 } },
      }),
    ),
  );
  const columns = useMemo(() => fillColumns(account.currency), [account.currency]);
  return (
    <>
      <Table
        label="Fills"
        columns={columns}
        rows={pages.rows}
        rowId={(one) => one.id}
        empty={nothing(pages, "No fills yet.")}
        maxHeight="calc(100dvh - 19rem)"
      />
      <More pages={pages} />
    </>
  );
}

function fillColumns(currency: string): Column<Fill>[] {
  return [
    { id: "at", header: "At", cell: (f) => <DateTime at={f.at} /> },
    { id: "order", header: "Order", cell: (f) => <SideAndSymbol of={f} /> },
    { id: "quantity", header: "Quantity", numeric: true, cell: (f) => quantity(f.quantity) },
    { id: "price", header: "Price", numeric: true, cell: (f) => price(f.price) },
    { id: "fee", header: "Fee", numeric: true, wide: true, cell: (f) => money(f.fee, currency) },
    {
      id: "realised",
      header: "Realised",
      numeric: true,
      wide: true,
      cell: (f) => <Pnl amount={f.realised_pnl} currency={currency} />,
    },
    {
      id: "execution",
      header: "Execution id",
      wide: true,
      cell: (f) => <code className="text-2xs text-muted">{f.execution_id}</code>,
    },
  ];
}
