import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { answer, api, idempotencyKey, problemOf } from "../../api/client";
import type { AccountSummary, Book } from "../../api/types";
import { isPositiveDecimal, sign } from "../../format/decimal";
import { money } from "../../format/money";
import { quantity } from "../../format/quantity";
import { Button, Choice, Field, Select } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Refusal } from "../refusal";

interface TransferProps {
  account: AccountSummary;
  books: readonly Book[];
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Moves cash or units from one book to another. The broker sees nothing of it. */
export function Transfer({ account, books, returnTo, onClose }: TransferProps) {
  const client = useQueryClient();
  const form = useId();
  const [from, setFrom] = useState(keyOf(books[0]));
  const [to, setTo] = useState(keyOf(books[1]));
  const [what, setWhat] = useState<"cash" | "units">("cash");
  const [symbol, setSymbol] = useState("");
  const [amount, setAmount] = useState("");
  const [note, setNote] = useState("");
  // One key for one transfer, however often it is sent.
  const [key] = useState(idempotencyKey);
  const giver = books.find((book) => keyOf(book) === from);
  const held = giver?.positions.filter((one) => sign(one.quantity) !== 0) ?? [];
  const chosen = held.find((one) => one.symbol === symbol) ?? held[0];
  const ready =
    from !== to && isPositiveDecimal(amount) && note.trim() !== "" && (what === "cash" || chosen);
  const send = useMutation({
    mutationFn: () =>
      answer(
        api.POST("/api/v1/accounts/{id}/books/transfers", {
          params: { path: { id: account.id } },
          headers: { "Idempotency-Key": key },
          body: {
            from: from || undefined,
            to: to || undefined,
            note: note.trim(),
            ...(what === "cash"
              ? { amount: amount.trim() }
              : { symbol: chosen?.symbol, quantity: amount.trim() }),
          },
        }),
      ),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["books"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready && !send.isPending) send.mutate();
  };
  const choice = (label: string, value: string, set: (value: string) => void) => (
    <Select label={label} value={value} onChange={(event) => set(event.target.value)}>
      {books.map((book) => (
        <option key={keyOf(book)} value={keyOf(book)}>
          {book.name}
        </option>
      ))}
    </Select>
  );
  return (
    <Dialog
      open
      onClose={onClose}
      returnTo={returnTo}
      title="Transfer between books"
      description="Moves within the account; it stands in the audit log with your note."
      footer={
        <>
          <Button className="flex-1" onClick={onClose}>
            Back
          </Button>
          <Button
            type="submit"
            form={form}
            look="primary"
            className="flex-[2]"
            disabled={!ready || send.isPending}
          >
            {send.isPending ? "Moving…" : "Transfer"}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
        <div className="grid grid-cols-2 gap-3">
          {choice("From", from, setFrom)}
          {choice("To", to, setTo)}
        </div>
        <Choice
          label="What"
          value={what}
          onChange={(next: "cash" | "units") => setWhat(next)}
          options={[
            { value: "cash", text: "Cash" },
            {
              value: "units",
              text: "Units",
              lack: held.length === 0 ? "The giving book holds nothing." : null,
            },
          ]}
        />
        {what === "units" && (
          <Select
            label="Symbol"
            value={chosen?.symbol ?? ""}
            onChange={(event) => setSymbol(event.target.value)}
          >
            {held.map((one) => (
              <option key={one.symbol} value={one.symbol}>
                {one.symbol}: {quantity(one.quantity)}
              </option>
            ))}
          </Select>
        )}
        <Field
          label={what === "cash" ? "Amount" : "Quantity"}
          unit={what === "cash" ? account.currency : undefined}
          name="amount"
          inputMode="decimal"
          value={amount}
          hint={
            what === "cash"
              ? giver && `${money(giver.buying_power, account.currency)} are free there.`
              : "Units move at the market price: what they earned until now stays with the giver."
          }
          onChange={(event) => setAmount(event.target.value)}
        />
        <Field
          label="Note"
          name="note"
          maxLength={500}
          value={note}
          onChange={(event) => setNote(event.target.value)}
        />
        {send.error && <Refusal problem={problemOf(send.error)} title="Nothing was moved" />}
      </form>
    </Dialog>
  );
}

/** How a book is told from others: the account's own has no id. */
function keyOf(book: Book | undefined): string {
  return book?.id ?? "";
}
