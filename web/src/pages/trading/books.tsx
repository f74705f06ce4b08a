import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { AccountSummary, Book } from "../../api/types";
import { sign } from "../../format/decimal";
import { averagePrice, money } from "../../format/money";
import { quantity } from "../../format/quantity";
import { Button } from "../../ui/controls";
import { Plus } from "../../ui/icons";
import { Empty, Panel, Tag } from "../../ui/surface";
import { type Column, Table } from "../../ui/table";
import { Refusal } from "../refusal";
import { useAccount, useMay } from "../session";
import { useBooks } from "./books-query";
import { CostMethodOf } from "./cost-method";
import { OpenBook } from "./open-book";
import { Pnl } from "./pnl";
import { Reckoned } from "./reckoned";
import { Transfer } from "./transfer";

/** Whose the account's cash and positions are: its own book and those of people, bots and strategies. */
export function Books() {
  const account = useAccount();
  if (!account) return <Empty>No account is granted to you.</Empty>;
  return <OfAccount key={account.id} account={account} />;
}

function OfAccount({ account }: { account: AccountSummary }) {
  const { data, error } = useBooks(account.id);
  const may = useMay("books.manage") && account.access !== "view";
  const [open, setOpen] = useState<"book" | "transfer" | null>(null);
  const from = useRef<HTMLElement | null>(null);
  const shown = data?.items.filter((book) => book.closed_at === null) ?? [];
  const closed = data?.items.filter((book) => book.closed_at !== null) ?? [];
  const opener = (what: typeof open) => (event: { currentTarget: HTMLElement }) => {
    from.current = event.currentTarget;
    setOpen(what);
  };
  return (
    <div className="flex flex-col gap-3">
      <Panel
        title={<h1>Books of {account.name}</h1>}
        aside={
          may && (
            <div className="flex gap-2">
              <Button small disabled={shown.length < 2} onClick={opener("transfer")}>
                Transfer
              </Button>
              <Button small look="primary" onClick={opener("book")}>
                <Plus className="size-3.5" /> Open a book
              </Button>
            </div>
          )
        }
      >
        <p className="px-3 py-2 text-muted">
          One account at the broker, divided on the desk: each book has its own cash, positions and
          profit. Together they are exactly what the broker has.
        </p>
      </Panel>
      {error && !data && (
        <Refusal problem={problemOf(error)} title="The books could not be loaded" />
      )}
      {shown.map((book) => (
        <OneBook key={book.id ?? ""} account={account} book={book} may={may} />
      ))}
      {closed.length > 0 && (
        <p className="text-xs text-muted">Closed: {closed.map((book) => book.name).join(", ")}</p>
      )}
      {open === "book" && (
        <OpenBook account={account} returnTo={() => from.current} onClose={() => setOpen(null)} />
      )}
      {open === "transfer" && (
        <Transfer
          account={account}
          books={shown}
          returnTo={() => from.current}
          onClose={() => setOpen(null)}
        />
      )}
    </div>
  );
}

const KINDS: Record<Book["kind"], string> = {
  own: "the account's own",
  person: "of a person",
  bot: "of a bot",
  strategy: "of a strategy",
};

function OneBook({ account, book, may }: { account: AccountSummary; book: Book; may: boolean }) {
  const { currency } = account;
  const held = book.positions.filter((one) => sign(one.quantity) !== 0);
  const figure = (of: string, name: string, value: React.ReactNode) => (
    <div className="bg-panel px-3 py-2">
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="font-semibold">
        <Reckoned of={of}>{value}</Reckoned>
      </dd>
    </div>
  );
  return (
    <Panel
      title={
        <span className="flex flex-wrap items-center gap-2">
          {book.name} <Tag>{KINDS[book.kind]}</Tag>
          {book.owner && <span className="font-normal text-muted">{book.owner.name}</span>}
          <CostMethodOf account={account} book={book} may={may} />
        </span>
      }
      aside={may && book.id !== null && <CloseBook account={account} book={book} id={book.id} />}
    >
      <dl className="grid grid-cols-2 gap-px border-b border-line bg-line sm:grid-cols-3 lg:grid-cols-6">
        {figure("value", "Value", money(book.equity, currency))}
        {figure("cash", "Cash", money(book.cash, currency))}
        {figure("buying_power", "Buying power", money(book.buying_power, currency))}
        {figure("funded", "Given to it", money(book.funded, currency))}
        {figure("realised", "Realised", <Pnl amount={book.realised_pnl} currency={currency} />)}
        {figure(
          "unrealised",
          "Unrealised",
          <Pnl amount={book.unrealised_pnl} currency={currency} />,
        )}
      </dl>
      {held.length > 0 ? (
        <Table
          label={`Positions of ${book.name}`}
          columns={columns(currency)}
          rows={held}
          rowId={(one) => one.symbol}
          empty=""
        />
      ) : (
        <p className="px-3 py-2.5 text-muted">
          No positions
          {book.open_orders > 0 &&
            `, ${book.open_orders} open ${book.open_orders === 1 ? "order" : "orders"}`}
          .
        </p>
      )}
    </Panel>
  );
}

function columns(currency: string): Column<Book["positions"][number]>[] {
  return [
    { id: "symbol", header: "Symbol", cell: (p) => <b>{p.symbol}</b> },
    { id: "quantity", header: "Quantity", numeric: true, cell: (p) => quantity(p.quantity) },
    {
      id: "average",
      header: "Average price",
      numeric: true,
      wide: true,
      cell: (p) => <Reckoned of="average_price">{averagePrice(p.average_price)}</Reckoned>,
    },
    { id: "value", header: "Value", numeric: true, cell: (p) => money(p.market_value, currency) },
    {
      id: "unrealised",
      header: "Unrealised",
      numeric: true,
      cell: (p) => <Pnl amount={p.unrealised_pnl} currency={currency} />,
    },
  ];
}

function CloseBook({ account, book, id }: { account: AccountSummary; book: Book; id: string }) {
  const client = useQueryClient();
  const close = useMutation({
    mutationFn: () =>
      answer(
        api.DELETE("/api/v1/accounts/{id}/books/{book_id}", {
          params: { path: { id: account.id, book_id: id } },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ["books"] }),
  });
  const busy = book.open_orders > 0 || book.positions.some((one) => sign(one.quantity) !== 0);
  return (
    <>
      <Button
        small
        look="quiet"
        disabled={busy || close.isPending}
        title={busy ? "It has positions or open orders." : undefined}
        onClick={() => close.mutate()}
      >
        Close<span className="sr-only"> {book.name}</span>
      </Button>
      {close.error && (
        <div className="w-full">
          <Refusal problem={problemOf(close.error)} title="The book was not closed" />
        </div>
      )}
    </>
  );
}
