import {
  type ColumnDef,
  createSortedRowModel,
  metaHelper,
  type RowData,
  rowSortingFeature,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useMemo, useRef } from "react";
import { ArrowDown, ArrowUp } from "./icons";

/** A column of a table. */
export interface Column<Row> {
  id: string;
  header: string;
  cell(row: Row): ReactNode;
  /** What to sort by; a column without it cannot be sorted. */
  sort?(row: Row): number | string;
  /** Numbers stand at the end, so that their digits line up. */
  numeric?: boolean;
  /** Left out on a narrow screen: what the detail view shows as well. */
  wide?: boolean;
}

interface TableProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowId(row: Row): string;
  empty: ReactNode;
  /** The tallest it gets before it scrolls; rows out of sight are then not in the page. */
  maxHeight?: string;
}

interface Meta {
  numeric: boolean;
  wide: boolean;
}

const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  columnMeta: metaHelper<Meta>(),
});

const ROW_PX = 40;
/** Tables up to this long are simply drawn. */
const DRAWN_WHOLE = 60;

/** A table that sorts, scrolls inside itself and draws only the rows in sight. */
export function Table<Row extends RowData>({
  label,
  columns,
  rows,
  rowId,
  empty,
  maxHeight = "26rem",
}: TableProps<Row>) {
  const box = useRef<HTMLElement>(null);
  const data = rows as Row[];
  const defs = useMemo(() => columns.map(toDef), [columns]);
  const table = useTable({ features, columns: defs, data, getRowId: rowId });
  const shown = table.getRowModel().rows;
  const virtual = useVirtualizer({
    count: shown.length,
    enabled: shown.length > DRAWN_WHOLE,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
  });
  const items = virtual.getVirtualItems();
  const inSight = shown.length > DRAWN_WHOLE ? items.map((item) => item.index) : shown.keys();
  const above = items[0]?.start ?? 0;
  const below = items.length > 0 ? virtual.getTotalSize() - (items.at(-1)?.end ?? 0) : 0;

  return (
    <section
      ref={box}
      aria-label={label}
      // It scrolls, so the keyboard must reach it.
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to take the focus
      tabIndex={0}
      className="scroll-fade relative overflow-auto focus-visible:outline-offset-[-2px]"
      style={{ maxHeight }}
    >
      <table
        className="w-full border-separate border-spacing-0 [&_:is(td,th):first-child]:pl-3 [&_:is(td,th):last-child]:pr-3"
        aria-rowcount={shown.length + 1}
      >
        <caption className="sr-only">{label}</caption>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => {
                const meta = header.column.columnDef.meta;
                const sorted = header.column.getIsSorted();
                return (
                  <th
                    key={header.id}
                    scope="col"
                    aria-sort={
                      sorted === "asc" ? "ascending" : sorted === "desc" ? "descending" : undefined
                    }
                    className={`sticky top-0 z-10 h-9 border-b border-line bg-panel px-2 text-left text-xs font-medium text-muted max-sm:px-1.5 sm:whitespace-nowrap ${place(meta)}`}
                  >
                    {header.column.getCanSort() ? (
                      <button
                        type="button"
                        onClick={header.column.getToggleSortingHandler()}
                        className="inline-flex min-h-11 items-center gap-1 hover:text-ink sm:min-h-8"
                      >
                        <table.FlexRender header={header} />
                        {sorted === "asc" && <ArrowUp className="size-3" />}
                        {sorted === "desc" && <ArrowDown className="size-3" />}
                      </button>
                    ) : (
                      <table.FlexRender header={header} />
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {above > 0 && <Spacer px={above} columns={columns.length} />}
          {[...inSight].map((index) => {
            const row = shown[index];
            return (
              row && (
                // Counted from 1, the header's row first: the rows around it may not be in the page.
                <tr key={row.id} aria-rowindex={index + 2} className="hover:bg-raised/70">
                  {row.getAllCells().map((cell) => (
                    <td
                      key={cell.id}
                      className={`h-10 border-b border-line/60 px-2 py-1 max-sm:px-1.5 ${place(cell.column.columnDef.meta)}`}
                    >
                      <table.FlexRender cell={cell} />
                    </td>
                  ))}
                </tr>
              )
            );
          })}
          {below > 0 && <Spacer px={below} columns={columns.length} />}
        </tbody>
      </table>
      {shown.length === 0 && <p className="px-3 py-8 text-center text-muted">{empty}</p>}
    </section>
  );
}

function Spacer({ px, columns }: { px: number; columns: number }) {
  return (
    <tr>
      <td colSpan={columns} style={{ height: px }} />
    </tr>
  );
}

function place(meta: Meta | undefined): string {
  return `${meta?.numeric ? "text-right" : ""} ${meta?.wide ? "max-sm:hidden" : ""}`;
}

function toDef<Row extends RowData>(column: Column<Row>): ColumnDef<typeof features, Row> {
  return {
    id: column.id,
    header: column.header,
    accessorFn: (row) => column.sort?.(row) ?? "",
    enableSorting: column.sort !== undefined,
    sortFn: "auto",
    cell: ({ row }) => column.cell(row.original),
    meta: { numeric: column.numeric ?? false, wide: column.wide ?? false },
  };
}
