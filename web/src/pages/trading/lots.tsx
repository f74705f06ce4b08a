import { useQuery } from "@tanstack/react-query";
import { answer, api, problemOf } from "../../api/client";
import type { AccountSummary, Lot, Position } from "../../api/types";
import { averagePrice, money, price } from "../../format/money";
import { quantity } from "../../format/quantity";
import { DateTime } from "../../ui/date-time";
import { Dialog } from "../../ui/dialog";
import { Fact } from "../../ui/surface";
import { type Column, Table } from "../../ui/table";
import { Refusal } from "../refusal";
import { Pnl } from "./pnl";
import { Reckoned } from "./reckoned";

interface LotsProps {
  account: AccountSummary;
  position: Position;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

const COLUMNS: readonly Column<Lot>[] = [
  { id: "at", header: "Bought at", cell: (lot) => <DateTime at={lot.opened_at} /> },
  { id: "quantity", header: "Quantity", numeric: true, cell: (lot) => quantity(lot.quantity) },
  { id: "price", header: "Price", numeric: true, cell: (lot) => price(lot.price) },
  {
    id: "execution",
    header: "Execution id",
    wide: true,
    cell: (lot) => <code className="text-2xs text-muted">{lot.execution_id}</code>,
  },
];

/** What a position is made of, oldest first. */
export function Lots({ account, position, returnTo, onClose }: LotsProps) {
  const lots = useQuery({
    queryKey: ["lots", account.id, position.symbol, position.quantity],
    queryFn: () =>
      answer(
        api.GET("/api/v1/accounts/{id}/positions/{symbol}/lots", {
          params: { path: { id: account.id, symbol: position.symbol } },
        }),
      ),
  });
  const { currency } = account;
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      returnTo={returnTo}
      title={`${position.symbol} in lots`}
      description="What is held, by when it was bought; oldest first."
    >
      <dl className="mb-3 grid gap-x-8 sm:grid-cols-2">
        <Fact name="Held">{quantity(position.quantity)}</Fact>
        <Fact name="Paid for it">{money(position.cost_basis, currency)}</Fact>
        <Fact name="Average price">
          <Reckoned of="average_price">{averagePrice(position.average_price)}</Reckoned>
        </Fact>
        <Fact name="Unrealised">
          <Reckoned of="unrealised">
            <Pnl amount={position.unrealised_pnl} currency={currency} />
          </Reckoned>
        </Fact>
      </dl>
      {lots.error ? (
        <Refusal problem={problemOf(lots.error)} title="The lots could not be loaded" />
      ) : (
        <div className="rounded-md border border-line">
          <Table
            label={`Lots of ${position.symbol}`}
            columns={COLUMNS}
            rows={lots.data?.items ?? []}
            rowId={(lot) => lot.execution_id}
            empty={lots.isPending ? "Loading…" : "No lots."}
          />
        </div>
      )}
    </Dialog>
  );
}
