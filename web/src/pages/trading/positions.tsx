import { useMemo } from "react";
import type { AccountSummary, Position } from "../../api/types";
import { sign } from "../../format/decimal";
import { money, price } from "../../format/money";
import { quantity } from "../../format/quantity";
import { positions } from "../../live/desk";
import { useResource } from "../../live/resource";
import { type Column, Table } from "../../ui/table";
import { Pnl } from "./pnl";

/** What the account holds now. */
export function Positions({ account }: { account: AccountSummary }) {
  const { state } = useResource(positions(account.id));
  const columns = useMemo(() => positionColumns(account.currency), [account.currency]);
  const held = useMemo(() => (state ?? []).filter((one) => sign(one.quantity) !== 0), [state]);
  return (
    <Table
      label="Positions"
      columns={columns}
      rows={held}
      rowId={(one) => one.symbol}
      empty={state ? "No positions. A fill will show here." : "Loading…"}
      maxHeight="19rem"
    />
  );
}

function positionColumns(currency: string): Column<Position>[] {
  return [
    {
      id: "symbol",
      header: "Symbol",
      cell: (p) => <b className="font-semibold">{p.symbol}</b>,
      sort: (p) => p.symbol,
    },
    {
      id: "quantity",
      header: "Quantity",
      numeric: true,
      cell: (p) => quantity(p.quantity),
      sort: (p) => Number(p.quantity),
    },
    {
      id: "average",
      header: "Average price",
      numeric: true,
      cell: (p) => price(p.average_price),
      wide: true,
    },
    {
      id: "market",
      header: "Market price",
      numeric: true,
      cell: (p) => price(p.market_price),
      wide: true,
    },
    {
      id: "value",
      header: "Value",
      numeric: true,
      cell: (p) => money(p.market_value, currency),
      sort: (p) => Number(p.market_value ?? 0),
    },
    {
      id: "unrealised",
      header: "Unrealised",
      numeric: true,
      cell: (p) => <Pnl amount={p.unrealised_pnl} currency={currency} />,
      sort: (p) => Number(p.unrealised_pnl ?? 0),
    },
    {
      id: "realised",
      header: "Realised",
      numeric: true,
      wide: true,
      cell: (p) => <Pnl amount={p.realised_pnl} currency={currency} />,
      sort: (p) => Number(p.realised_pnl),
    },
  ];
}
