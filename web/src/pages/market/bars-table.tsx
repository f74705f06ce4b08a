import { useMemo } from "react";
import type { Bar, Every } from "../../api/types";
import { buyShare, pressure } from "../../charts/pressure";
import { price } from "../../format/money";
import { count, volume } from "../../format/quantity";
import { clock } from "../../format/time";
import { bars } from "../../live/desk";
import { useResource } from "../../live/resource";
import { type Column, Table } from "../../ui/table";

const SHOWN = 120;

/** The last bars as a table: the chart for those who cannot see it, and for reading exact numbers. */
export function BarsTable({ symbol, every }: { symbol: string; every: Every }) {
  const { state } = useResource(bars(symbol, every));
  const newest = useMemo(() => (state ?? []).slice(-SHOWN).reverse(), [state]);
  return (
    <Table
      label={`Bars of ${symbol}, newest first`}
      columns={COLUMNS}
      rows={newest}
      rowId={(bar) => bar.start_at}
      empty={state ? "No bars yet." : "Loading…"}
      maxHeight="19rem"
    />
  );
}

const number = (id: string, header: string, cell: (bar: Bar) => string, wide = false) => ({
  id,
  header,
  cell,
  wide,
  numeric: true,
});

const COLUMNS: Column<Bar>[] = [
  { id: "at", header: "Start", cell: (bar) => clock(bar.start_at) },
  number("open", "Open", (bar) => price(bar.open), true),
  number("high", "High", (bar) => price(bar.high)),
  number("low", "Low", (bar) => price(bar.low)),
  number("close", "Close", (bar) => price(bar.close)),
  number("vwap", "VWAP", (bar) => price(bar.vwap), true),
  number("volume", "Volume", (bar) => volume(bar.volume)),
  number("trades", "Trades", (bar) => count(bar.trades), true),
  number(
    "bought",
    "Bought",
    (bar) => {
      const share = buyShare(bar);
      return share === null ? "–" : `${Math.round(share * 100)} %, ${pressure(share)}`;
    },
    true,
  ),
];
