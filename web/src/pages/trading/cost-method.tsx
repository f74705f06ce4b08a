import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useRef, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { AccountSummary, Book, CostMethod } from "../../api/types";
import { Button, Choice } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Refusal } from "../refusal";

const METHODS: Record<CostMethod, string> = {
  average: "average cost",
  fifo: "first in, first out",
};

interface CostMethodProps {
  account: AccountSummary;
  book: Book;
  may: boolean;
}

/** How the cost of what a book sells is reckoned; opens the choice for those who may change it. */
export function CostMethodOf({ account, book, may }: CostMethodProps) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  if (!may) return <span className="font-normal text-muted">{METHODS[book.cost_method]}</span>;
  return (
    <>
      <button
        ref={button}
        type="button"
        aria-label={`Cost of what ${book.name} sells: ${METHODS[book.cost_method]}`}
        onClick={() => setOpen(true)}
        className="relative min-h-6 font-normal text-muted underline decoration-line-strong underline-offset-4 before:absolute before:-inset-2 before:content-[''] hover:text-ink"
      >
        {METHODS[book.cost_method]}
      </button>
      {open && (
        <Change
          account={account}
          book={book}
          returnTo={() => button.current}
          onClose={() => setOpen(false)}
        />
      )}
    </>
  );
}

interface ChangeProps {
  account: AccountSummary;
  book: Book;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

function Change({ account, book, returnTo, onClose }: ChangeProps) {
  const client = useQueryClient();
  const form = useId();
  const [method, setMethod] = useState(book.cost_method);
  const set = useMutation({
    mutationFn: () =>
      answer(
        api.PUT("/api/v1/accounts/{id}/cost-method", {
          params: { path: { id: account.id } },
          body: { cost_method: method, book_id: book.id ?? undefined },
        }),
      ),
    onSuccess: () => {
      for (const key of ["books", "portfolio", "lots"])
        void client.invalidateQueries({ queryKey: [key] });
      onClose();
    },
  });
  const unchanged = method === book.cost_method;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!unchanged && !set.isPending) set.mutate();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      returnTo={returnTo}
      title={`Cost of what ${book.name} sells`}
      description="Everything is reckoned again from the first fill."
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
            disabled={unchanged || set.isPending}
          >
            {set.isPending ? "Reckoning…" : "Reckon like this"}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} className="flex flex-col gap-3">
        <Choice
          label="Cost method"
          value={method}
          onChange={(next: CostMethod) => setMethod(next)}
          options={[
            { value: "average", text: "Average cost" },
            { value: "fifo", text: "First in, first out" },
          ]}
        />
        <p className="text-muted">
          {method === "average"
            ? "Each sale takes its share of what all units cost."
            : "The units that were bought first are sold first."}{" "}
          Profit moves between realised and unrealised; together it stays the same.
          {book.id === null &&
            " It holds for the account as a whole and for its own book; other books keep theirs."}
        </p>
        {set.error && <Refusal problem={problemOf(set.error)} title="The cost stays as it is" />}
      </form>
    </Dialog>
  );
}
