import { useMemo } from "react";
import type { Portfolio } from "../../api/types";
import { plus } from "../../format/decimal";
import { money } from "../../format/money";
import { quantity } from "../../format/quantity";
import { type Column, Table } from "../../ui/table";
import { Pnl } from "./pnl";
import { Reckoned } from "./reckoned";

interface ProfitsProps {
  figures: Portfolio | undefined;
  currency: string;
}

type Row<List extends "by_symbol" | "by_book" | "by_day"> = Portfolio[List][number];

/** A column of money that opens its formula. */
function profit<R>(
  of: string,
  id: string,
  header: string,
  currency: string,
  amount: (row: R) => string,
  more: Partial<Column<R>> = {},
): Column<R> {
  return {
    id,
    header,
    numeric: true,
    sort: (row) => Number(amount(row)),
    cell: (row) => (
      <Reckoned of={of}>
        <Pnl amount={amount(row)} currency={currency} />
      </Reckoned>
    ),
    ...more,
  };
}

/** The profit of each symbol. */
export function BySymbol({ figures, currency }: ProfitsProps) {
  const columns = useMemo((): Column<Row<"by_symbol">>[] => {
    const wide = { wide: true };
    return [
      { id: "symbol", header: "Symbol", cell: (row) => <b>{row.symbol}</b>, sort: (r) => r.symbol },
      {
        id: "held",
        header: "Held",
        numeric: true,
        cell: (row) => quantity(row.quantity),
        wide: true,
      },
      { id: "value", header: "Value", numeric: true, cell: (row) => money(row.value, currency) },
      profit("realised", "realised", "Realised", currency, (row) => row.realised, wide),
      profit("unrealised", "unrealised", "Unrealised", currency, (row) => row.unrealised, wide),
      profit("by_symbol", "all", "Profit", currency, (r) => plus(r.realised, r.unrealised)),
    ];
  }, [currency]);
  return (
    <Table
      label="Profit by symbol"
      columns={columns}
      rows={figures?.by_symbol ?? []}
      rowId={(row) => row.symbol}
      empty="Nothing was traded yet."
    />
  );
}

/** The profit of each book. */
export function ByBook({ figures, currency }: ProfitsProps) {
  const columns = useMemo((): Column<Row<"by_book">>[] => {
    const wide = { wide: true };
    return [
      {
        id: "book",
        header: "Book",
        cell: (row) => <b>{row.book.name}</b>,
        sort: (r) => r.book.name,
      },
      { id: "value", header: "Value", numeric: true, cell: (row) => money(row.value, currency) },
      profit("realised", "realised", "Realised", currency, (row) => row.realised, wide),
      profit("unrealised", "unrealised", "Unrealised", currency, (row) => row.unrealised, wide),
      { id: "fees", header: "Fees", numeric: true, cell: (r) => money(r.fees, currency), ...wide },
      profit("by_book", "all", "Profit", currency, (r) => plus(r.realised, r.unrealised)),
    ];
  }, [currency]);
  return (
    <Table
      label="Profit by book"
      columns={columns}
      rows={figures?.by_book ?? []}
      rowId={(row) => row.book.id ?? ""}
      empty="No books."
    />
  );
}

/** The profit of each day, newest first. */
export function ByDay({ figures, currency }: ProfitsProps) {
  const columns = useMemo((): Column<Row<"by_day">>[] => {
    const wide = { wide: true };
    return [
      {
        id: "day",
        header: "Day (UTC)",
        cell: (row) => row.day.slice(0, 10),
        sort: (row) => row.day,
      },
      profit("by_day", "profit", "Profit", currency, (row) => row.profit),
      profit("realised", "realised", "Realised", currency, (row) => row.realised, wide),
      profit("unrealised", "unrealised", "Unrealised", currency, (row) => row.unrealised, wide),
      profit("deposits", "flows", "Paid in", currency, (row) => row.flows),
    ];
  }, [currency]);
  return (
    <Table
      label="Profit by day"
      columns={columns}
      rows={figures?.by_day ?? []}
      rowId={(row) => row.day}
      empty="No day has passed yet."
    />
  );
}
