import type { Fill, Order, Position } from "../../api/types";
import { csv } from "../../format/csv";

/** Rows that a file holds at most: ten pages of the API's largest. */
const MOST_PAGES = 10;

/** All pages of a list, as far as a file goes. */
export async function everyPage<Row>(
  load: (cursor?: string) => Promise<{ items: Row[]; next_cursor?: string | null }>,
): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const got = await load(cursor);
    rows.push(...got.items);
    cursor = got.next_cursor ?? undefined;
    if (cursor === undefined) break;
  }
  return rows;
}

type Columns<Row> = readonly (readonly [header: string, of: (row: Row) => string | null])[];

const ORDER: Columns<Order> = [
  ["id", (o) => o.id],
  ["created_at", (o) => o.created_at],
  ["mode", (o) => o.mode],
  ["symbol", (o) => o.symbol],
  ["side", (o) => o.side],
  ["type", (o) => o.type],
  ["time_in_force", (o) => o.time_in_force],
  ["class", (o) => o.class],
  ["leg", (o) => o.leg],
  ["parent_id", (o) => o.parent_id],
  ["quantity", (o) => o.quantity],
  ["notional", (o) => o.notional],
  ["limit_price", (o) => o.limit_price],
  ["stop_price", (o) => o.stop_price],
  ["trail_price", (o) => o.trail_price],
  ["trail_percent", (o) => o.trail_percent],
  ["extended_hours", (o) => String(o.extended_hours)],
  ["status", (o) => o.status],
  ["filled_quantity", (o) => o.filled_quantity],
  ["average_fill_price", (o) => o.average_fill_price],
  ["fees", (o) => o.fees],
  ["reason", (o) => o.reason],
  ["book_id", (o) => o.book_id],
  ["strategy", (o) => o.strategy],
  ["origin", (o) => o.origin],
  ["replaces", (o) => o.replaces],
  ["replaced_by", (o) => o.replaced_by],
  ["submitted_by", (o) => o.submitted_by.name],
  ["client_order_id", (o) => o.client_order_id],
  ["broker_order_id", (o) => o.broker_order_id],
];

const FILL: Columns<Fill> = [
  ["id", (f) => f.id],
  ["at", (f) => f.at],
  ["kind", (f) => f.kind],
  ["symbol", (f) => f.symbol],
  ["side", (f) => f.side],
  ["quantity", (f) => f.quantity],
  ["price", (f) => f.price],
  ["fee", (f) => f.fee],
  ["realised_pnl", (f) => f.realised_pnl],
  ["execution_id", (f) => f.execution_id],
  ["corrects", (f) => f.corrects],
  ["order_id", (f) => f.order_id],
  ["book_id", (f) => f.book_id],
];

const POSITION: Columns<Position> = [
  ["symbol", (p) => p.symbol],
  ["quantity", (p) => p.quantity],
  ["average_price", (p) => p.average_price],
  ["cost_basis", (p) => p.cost_basis],
  ["market_price", (p) => p.market_price],
  ["market_value", (p) => p.market_value],
  ["unrealised_pnl", (p) => p.unrealised_pnl],
  ["realised_pnl", (p) => p.realised_pnl],
  ["as_of_at", (p) => p.as_of_at],
];

export const ordersCsv = (rows: readonly Order[]) => table(ORDER, rows);
export const fillsCsv = (rows: readonly Fill[]) => table(FILL, rows);
export const positionsCsv = (rows: readonly Position[]) => table(POSITION, rows);

function table<Row>(columns: Columns<Row>, rows: readonly Row[]): string {
  return csv(
    columns.map(([header]) => header),
    rows.map((row) => columns.map(([, of]) => of(row))),
  );
}
