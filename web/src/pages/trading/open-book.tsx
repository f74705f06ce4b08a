import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { AccountSummary, CostMethod, NewBook } from "../../api/types";
import { Button, Choice, Field, Select } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Refusal } from "../refusal";
import { useMay, useSession } from "../session";

interface OpenBookProps {
  account: AccountSummary;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Opens a book on the account, with cash of the account's own. */
export function OpenBook({ account, returnTo, onClose }: OpenBookProps) {
  const { user } = useSession();
  const client = useQueryClient();
  const form = useId();
  const [name, setName] = useState("");
  const [kind, setKind] = useState<NewBook["kind"]>("person");
  const [owner, setOwner] = useState(user.id);
  const [strategy, setStrategy] = useState("");
  const [method, setMethod] = useState<CostMethod | "">("");
  const [cash, setCash] = useState("");
  const people = useQuery({
    queryKey: ["users", "as-owners"],
    queryFn: () => answer(api.GET("/api/v1/users", { params: { query: { limit: 1000 } } })),
    enabled: useMay("users.view"),
  });
  const open = useMutation({
    mutationFn: () =>
      answer(
        api.POST("/api/v1/accounts/{id}/books", {
          params: { path: { id: account.id } },
          body: {
            name: name.trim(),
            kind,
            owner: kind === "person" ? owner : strategy.trim() || undefined,
            cost_method: method || undefined,
            opening_cash: cash.trim() || undefined,
          },
        }),
      ),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["books"] });
      onClose();
    },
  });
  const problem = open.error ? problemOf(open.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() && !open.isPending) open.mutate();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      returnTo={returnTo}
      title="Open a book"
      description={`A part of ${account.name} with its own cash, positions and profit.`}
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
            disabled={!name.trim() || open.isPending}
          >
            Open the book
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
        <Field
          data-first-focus
          label="Name"
          name="name"
          maxLength={64}
          value={name}
          error={problem?.field === "name" ? problem.detail : null}
          onChange={(event) => setName(event.target.value)}
        />
        <Choice
          label="Whose"
          value={kind}
          onChange={(next: NewBook["kind"]) => setKind(next)}
          options={[
            { value: "person", text: "A person's" },
            { value: "strategy", text: "A strategy's" },
          ]}
        />
        {kind === "person" ? (
          <Select label="Person" value={owner} onChange={(event) => setOwner(event.target.value)}>
            <option value={user.id}>{user.display_name}</option>
            {(people.data?.items ?? [])
              .filter((one) => one.id !== user.id && one.status === "active")
              .map((one) => (
                <option key={one.id} value={one.id}>
                  {one.display_name}
                </option>
              ))}
          </Select>
        ) : (
          <Field
            label="Strategy"
            name="strategy"
            maxLength={64}
            value={strategy}
            onChange={(event) => setStrategy(event.target.value)}
          />
        )}
        <Field
          label="Opening cash"
          unit={account.currency}
          name="opening_cash"
          inputMode="decimal"
          value={cash}
          hint="From the account's own book; it can be given later too."
          error={problem?.field === "opening_cash" ? problem.detail : null}
          onChange={(event) => setCash(event.target.value)}
        />
        <Select
          label="Cost of what is sold"
          value={method}
          onChange={(event) => setMethod(event.target.value as CostMethod | "")}
        >
          <option value="">As the account</option>
          <option value="average">Average cost</option>
          <option value="fifo">First in, first out</option>
        </Select>
        {problem && <Refusal problem={problem} title="The book was not opened" />}
      </form>
    </Dialog>
  );
}
