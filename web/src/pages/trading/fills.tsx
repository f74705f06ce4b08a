import { useSearch } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary, Fill } from "../../api/types";
import { money, price } from "../../format/money";
import { quantity } from "../../format/quantity";
import { DateTime } from "../../ui/date-time";
import { Download } from "../../ui/download";
import { Tag, type Tone } from "../../ui/surface";
import { type Column, Table } from "../../ui/table";
import { More, nothing, usePages } from "../paging";
import { everyPage, fillsCsv } from "./export";
import { Pnl } from "./pnl";
import { SideAndSymbol } from "./words";

/** Every execution of the account, newest first; what the broker corrected or took back is marked. */
export function Fills({ account }: { account: AccountSummary }) {
  const { symbol } = useSearch({ from: "/orders" });
  const load = useCallback(
    (cursor?: string, limit = 100) =>
      answer(
        api.GET("/api/v1/fills", {
          params: { query: { account_id: account.id, symbol, cursor, limit } },
        }),
      ),
    [account.id, symbol],
  );
  const pages = usePages<Fill>(["fills", account.id, symbol, "pages"], load);
  const undone = useMemo(() => undoneBy(pages.rows), [pages.rows]);
  const columns = useMemo(() => fillColumns(account.currency, undone), [account.currency, undone]);
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
      <More pages={pages}>
        <Download
          label="Fills as CSV"
          name="fills.csv"
          text={async () => fillsCsv(await everyPage((cursor) => load(cursor, 1000)))}
        />
      </More>
    </>
  );
}

/** The executions that a later one corrects or takes back, by id. */
function undoneBy(fills: readonly Fill[]): ReadonlyMap<string, Fill["kind"]> {
  return new Map(fills.flatMap((one) => (one.corrects ? [[one.corrects, one.kind]] : [])));
}

const KINDS: Record<Exclude<Fill["kind"], "fill">, [word: string, tone: Tone]> = {
  correction: ["correction", "warn"],
  bust: ["taken back", "bad"],
  transfer: ["between books", "calm"],
};

function KindTag({ fill, undone }: { fill: Fill; undone: Fill["kind"] | undefined }) {
  if (fill.kind !== "fill") {
    const [word, tone] = KINDS[fill.kind];
    return <Tag tone={tone}>{word}</Tag>;
  }
  if (!undone) return null;
  return <Tag tone="warn">{undone === "bust" ? "busted later" : "corrected later"}</Tag>;
}

function fillColumns(currency: string, undone: ReadonlyMap<string, Fill["kind"]>): Column<Fill>[] {
  return [
    { id: "at", header: "At", cell: (f) => <DateTime at={f.at} /> },
    {
      id: "order",
      header: "Order",
      cell: (f) => (
        <span className="flex flex-wrap items-center gap-x-2">
          <SideAndSymbol of={f} />
          <KindTag fill={f} undone={undone.get(f.execution_id)} />
        </span>
      ),
    },
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
      cell: (f) => (
        <code className="text-2xs text-muted">
          {f.execution_id}
          {f.corrects && <span className="block">of {f.corrects}</span>}
        </code>
      ),
    },
  ];
}
