import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useRef, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { UnknownOrder } from "../../api/types";
import { count } from "../../format/quantity";
import { sentence } from "../../format/sentence";
import { age } from "../../format/time";
import { unknown } from "../../live/desk";
import { useResource } from "../../live/resource";
import { Button, Field } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Dialog } from "../../ui/dialog";
import { Empty, Fact } from "../../ui/surface";
import { ModeBadge } from "../frame/mode";
import { useNow } from "../frame/now";
import { Refusal } from "../refusal";
import { useAccountIds, useMay, useSession } from "../session";
import { orderLine } from "./words";

/** The orders whose outcome nobody knows, what was tried to know it, and what a person can decide. */
export function UnknownOrders() {
  const { state, problem } = useResource(unknown(useAccountIds()));
  if (problem && !state)
    return (
      <div className="p-3">
        <Refusal problem={problem} title="The list could not be loaded" />
      </div>
    );
  if (!state) return <Empty>Loading…</Empty>;
  if (state.length === 0)
    return (
      <Empty>
        The outcome of every order is known. When the answer to one is lost, it stands here until
        the broker has said what became of it.
      </Empty>
    );
  return (
    <ul className="divide-y divide-line">
      {state.map((one) => (
        <li key={one.order.id}>
          <Unknown unknown={one} />
        </li>
      ))}
    </ul>
  );
}

function Unknown({
  unknown: { order, since_at, tries, misses, last_answer },
}: {
  unknown: UnknownOrder;
}) {
  const { accounts } = useSession();
  const may = useMay("orders.resolve");
  const account = accounts.find((one) => one.id === order.account_id);
  const [deciding, setDeciding] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const ask = useMutation({
    mutationFn: () =>
      answer(
        api.POST("/api/v1/orders/{id}/resolve", {
          params: { path: { id: order.id } },
          body: { choice: "ask_again" },
        }),
      ),
  });
  return (
    <article className="grid gap-x-8 gap-y-2 p-3 md:grid-cols-[minmax(0,1fr)_minmax(0,1fr)_auto] md:items-start">
      <div>
        <h2 className="flex flex-wrap items-center gap-2 font-semibold">
          <ModeBadge mode={order.mode} /> {orderLine(order)}
        </h2>
        <p className="mt-1 text-muted">
          {account?.name}, placed by {order.submitted_by.name} at <DateTime at={order.created_at} />
          . The broker may have it: do not place it again.
        </p>
      </div>
      <dl>
        <Fact name="Not known since">
          <DateTime at={since_at} /> (<Ago at={since_at} />)
        </Fact>
        <Fact name="Asked the broker">{times(tries)}</Fact>
        <Fact name="It did not know the order">{times(misses)}</Fact>
        <Fact name="Last answer">{last_answer === null ? "none" : sentence(last_answer)}</Fact>
      </dl>
      {may && account && account.access !== "view" && (
        <div className="flex gap-2 md:flex-col">
          <Button small disabled={ask.isPending} onClick={() => ask.mutate()}>
            {ask.isPending ? "Asking…" : "Ask again now"}
          </Button>
          <Button ref={button} small look="danger" onClick={() => setDeciding(true)}>
            It is not there
          </Button>
        </div>
      )}
      {ask.error && <Refusal problem={problemOf(ask.error)} title="The broker was not asked" />}
      {deciding && (
        <NotThere
          id={order.id}
          line={orderLine(order)}
          returnTo={() => button.current}
          onClose={() => setDeciding(false)}
        />
      )}
    </article>
  );
}

function times(n: number): string {
  return n === 0 ? "never" : n === 1 ? "once" : `${count(n)} times`;
}

function Ago({ at }: { at: string }) {
  useNow(1_000);
  return age(Date.now() - Date.parse(at));
}

interface NotThereProps {
  id: string;
  line: string;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** A named person says that the broker does not have the order, and how they know. */
function NotThere({ id, line, returnTo, onClose }: NotThereProps) {
  const { user } = useSession();
  const client = useQueryClient();
  const form = useId();
  const [evidence, setEvidence] = useState("");
  const decide = useMutation({
    mutationFn: () =>
      answer(
        api.POST("/api/v1/orders/{id}/resolve", {
          params: { path: { id } },
          body: { choice: "not_there", evidence: evidence.trim() },
        }),
      ),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["orders"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (evidence.trim() && !decide.isPending) decide.mutate();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      returnTo={returnTo}
      title="The broker does not have this order"
      description={line}
      footer={
        <>
          <Button className="flex-1" onClick={onClose}>
            Back
          </Button>
          <Button
            type="submit"
            form={form}
            look="danger"
            className="flex-[2]"
            disabled={!evidence.trim() || decide.isPending}
          >
            Close it as never arrived
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
        <p>
          The order ends, and what it reserved is free again. If the broker executes it after all,
          the desk books that as soon as it hears of it. Your name, {user.display_name}, stands
          beside the decision in the journal and the audit log.
        </p>
        <Field
          data-first-focus
          label="How you know"
          name="evidence"
          placeholder="The broker's desk said so on the phone, ticket 4711"
          value={evidence}
          maxLength={500}
          onChange={(event) => setEvidence(event.target.value)}
        />
        {decide.error && (
          <Refusal problem={problemOf(decide.error)} title="The order was not closed" />
        )}
      </form>
    </Dialog>
  );
}
