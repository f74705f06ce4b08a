import { useMemo } from "react";
import type { AccountSummary, Portfolio } from "../../api/types";
import { plus } from "../../format/decimal";
import { money } from "../../format/money";
import { quantity } from "../../format/quantity";
import { type Column, Table } from "../../ui/table";
import { Pnl } from "./pnl";
import { FromFills, Reckoned } from "./reckoned";
import { gained, profitOf, type Reckoning, worth } from "./reckoning";

interface ProfitsProps {
  figures: Portfolio | undefined;
  currency: string;
}

type Row<List extends "by_symbol" | "by_book" | "by_day"> = Portfolio[List][number];

/** A column of money that opens its formula. */
function profit<R>(
  of: (row: R) => Reckoning | string,
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
      <Reckoned of={of(row)} currency={currency}>
        <Pnl amount={amount(row)} currency={currency} />
      </Reckoned>
    ),
    ...more,
  };
}

/** The profit of each symbol. */
export function BySymbol({
  figures,
  account,
}: {
  figures: Portfolio | undefined;
  account: AccountSummary;
}) {
  const { id, currency } = account;
  const columns = useMemo((): Column<Row<"by_symbol">>[] => {
    const wide = { wide: true };
    return [
      { id: "symbol", header: "Symbol", cell: (row) => <b>{row.symbol}</b>, sort: (r) => r.symbol },
      {
        id: "held",
        header: "Held",
        numeric: true,
        cell: (row) => (
          <FromFills of="held" whose={{ account_id: id, symbol: row.symbol }} amount={row.quantity}>
            {quantity(row.quantity)}
          </FromFills>
        ),
        wide: true,
      },
      {
        id: "value",
        header: "Value",
        numeric: true,
        sort: (row) => Number(row.value),
        cell: (row) => (
          <Reckoned of={worth(row)} currency={currency}>
            {money(row.value, currency)}
          </Reckoned>
        ),
      },
      {
        id: "realised",
        header: "Realised",
        numeric: true,
        sort: (row) => Number(row.realised),
        cell: (row) => (
          <FromFills
            of="realised"
            whose={{ account_id: id, symbol: row.symbol }}
            amount={row.realised}
            currency={currency}
          >
            <Pnl amount={row.realised} currency={currency} />
          </FromFills>
        ),
        ...wide,
      },
      profit(gained, "unrealised", "Unrealised", currency, (row) => row.unrealised, wide),
      profit(
        (r) => profitOf("by_symbol", r),
        "all",
        "Profit",
        currency,
        (r) => plus(r.realised, r.unrealised),
      ),
    ];
  }, [id, currency]);
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
      {
        id: "value",
        header: "Value",
        numeric: true,
        sort: (row) => Number(row.value),
        cell: (row) => <Reckoned of="value">{money(row.value, currency)}</Reckoned>,
      },
      profit(
        () => "realised",
        "realised",
        "Realised",
        currency,
        (row) => row.realised,
        wide,
      ),
      profit(
        () => "unrealised",
        "unrealised",
        "Unrealised",
        currency,
        (row) => row.unrealised,
        wide,
      ),
      {
        id: "fees",
        header: "Fees",
        numeric: true,
        cell: (row) => <Reckoned of="fees">{money(row.fees, currency)}</Reckoned>,
        ...wide,
      },
      profit(
        (r) => profitOf("by_book", r),
        "all",
        "Profit",
        currency,
        (r) => plus(r.realised, r.unrealised),
      ),
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
      profit(
        (r) => profitOf("by_day", r),
        "profit",
        "Profit",
        currency,
        (row) => row.profit,
      ),
      profit(
        () => "realised",
        "realised",
        "Realised",
        currency,
        (row) => row.realised,
        wide,
      ),
      profit(
        () => "unrealised",
        "unrealised",
        "Unrealised",
        currency,
        (row) => row.unrealised,
        wide,
      ),
      profit(
        () => "deposits",
        "flows",
        "Paid in",
        currency,
        (row) => row.flows,
      ),
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
