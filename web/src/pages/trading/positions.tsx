import { useMemo, useRef, useState } from "react";
import type { AccountSummary, Position } from "../../api/types";
import { sign } from "../../format/decimal";
import { averagePrice, money, price } from "../../format/money";
import { quantity } from "../../format/quantity";
import { positions } from "../../live/desk";
import { useResource } from "../../live/resource";
import { Button } from "../../ui/controls";
import { Download } from "../../ui/download";
import { type Column, Table } from "../../ui/table";
import { useMay } from "../session";
import { ClosePosition } from "./close-position";
import { positionsCsv } from "./export";
import { Liquidate } from "./liquidate";
import { Lots } from "./lots";
import { Pnl } from "./pnl";
import { Reckoned } from "./reckoned";

/** What is open beside the table: one position's closing, or its lots. */
type Open = { of: "close" | "lots"; symbol: string; from: HTMLElement } | null;

/** What the account holds now, and the ways out of it. */
export function Positions({ account }: { account: AccountSummary }) {
  const { state } = useResource(positions(account.id));
  const may = useMay("orders.place") && account.access !== "view";
  const [open, setOpen] = useState<Open>(null);
  const [liquidating, setLiquidating] = useState(false);
  const liquidateButton = useRef<HTMLButtonElement>(null);
  const columns = useMemo(() => positionColumns(account.currency, may, setOpen), [account, may]);
  const held = useMemo(() => (state ?? []).filter((one) => sign(one.quantity) !== 0), [state]);
  const chosen = open && state?.find((one) => one.symbol === open.symbol);
  return (
    <>
      <Table
        label="Positions"
        columns={columns}
        rows={held}
        rowId={(one) => one.symbol}
        empty={state ? "No positions. A fill will show here." : "Loading…"}
        maxHeight="19rem"
      />
      {held.length > 0 && (
        <div className="flex justify-end gap-2 px-3 py-1.5">
          <Download label="Positions as CSV" name="positions.csv" text={() => positionsCsv(held)} />
          {may && (
            <Button ref={liquidateButton} small look="danger" onClick={() => setLiquidating(true)}>
              Liquidate…
            </Button>
          )}
        </div>
      )}
      {chosen && open.of === "close" && (
        <ClosePosition
          account={account}
          position={chosen}
          returnTo={() => open.from}
          onClose={() => setOpen(null)}
        />
      )}
      {chosen && open.of === "lots" && (
        <Lots
          account={account}
          position={chosen}
          returnTo={() => open.from}
          onClose={() => setOpen(null)}
        />
      )}
      {liquidating && (
        <Liquidate
          account={account}
          held={held.length}
          returnTo={() => liquidateButton.current}
          onClose={() => setLiquidating(false)}
        />
      )}
    </>
  );
}

function positionColumns(
  currency: string,
  may: boolean,
  open: (what: Open) => void,
): Column<Position>[] {
  const columns: Column<Position>[] = [
    {
      id: "symbol",
      header: "Symbol",
      cell: (p) => (
        <button
          type="button"
          className="min-h-8 text-left font-semibold whitespace-nowrap text-accent underline-offset-2 hover:underline"
          onClick={(event) => open({ of: "lots", symbol: p.symbol, from: event.currentTarget })}
        >
          {p.symbol}
          <span className="sr-only">, lots</span>
        </button>
      ),
      sort: (p) => p.symbol,
    },
    {
      id: "quantity",
      header: "Quantity",
      numeric: true,
      cell: (p) => (
        <>
          {quantity(p.quantity)}
          {sign(p.quantity) < 0 && <span className="block text-2xs text-muted">short</span>}
        </>
      ),
      sort: (p) => Number(p.quantity),
    },
    {
      id: "average",
      header: "Average price",
      numeric: true,
      cell: (p) => <Reckoned of="average_price">{averagePrice(p.average_price)}</Reckoned>,
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
      wide: true,
      cell: (p) => money(p.market_value, currency),
      sort: (p) => Number(p.market_value ?? 0),
    },
    {
      id: "unrealised",
      header: "Unrealised",
      numeric: true,
      cell: (p) => (
        <Reckoned
          of="unrealised"
          values={[
            ["Value", money(p.market_value, currency)],
            ["Cost", money(p.cost_basis, currency)],
          ]}
        >
          <Pnl amount={p.unrealised_pnl} currency={currency} />
        </Reckoned>
      ),
      sort: (p) => Number(p.unrealised_pnl ?? 0),
    },
    {
      id: "realised",
      header: "Realised",
      numeric: true,
      wide: true,
      cell: (p) => (
        <Reckoned of="realised">
          <Pnl amount={p.realised_pnl} currency={currency} />
        </Reckoned>
      ),
      sort: (p) => Number(p.realised_pnl),
    },
  ];
  if (may)
    columns.push({
      id: "close",
      header: "Close",
      numeric: true,
      cell: (p) => (
        <Button
          small
          onClick={(event) => open({ of: "close", symbol: p.symbol, from: event.currentTarget })}
        >
          Close<span className="sr-only"> {p.symbol}</span>
        </Button>
      ),
    });
  return columns;
}
