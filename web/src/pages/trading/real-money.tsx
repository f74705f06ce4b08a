import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useId, useRef, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { AccountSummary } from "../../api/types";
import { account as accountResource } from "../../live/desk";
import { useResource } from "../../live/resource";
import { isStepUpNeeded, withStepUp } from "../../live/step-up";
import { Button, Field } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Dialog } from "../../ui/dialog";
import { Notice, Panel } from "../../ui/surface";
import { Refusal } from "../refusal";
import { useMay } from "../session";

/** Whether the account may trade with real money, and the switch for it. */
export function RealMoney({ account }: { account: AccountSummary }) {
  const { state } = useResource(accountResource(account.id));
  return (
    <Panel title="Real money">
      <div className="flex flex-col items-start gap-3 p-3">
        {account.mode === "paper" ? (
          <p className="text-muted">
            This account is on paper. No real money can move on it, whatever is ordered, and nothing
            can be switched to change that: trading with real money needs an account at a broker.
          </p>
        ) : !state ? (
          <p className="text-muted">Loading…</p>
        ) : state.live_since_at ? (
          <On account={account} since={state.live_since_at} />
        ) : (
          <Off account={account} />
        )}
      </div>
    </Panel>
  );
}

function On({ account, since }: { account: AccountSummary; since: string }) {
  const may = [useMay("accounts.live"), useMay("kill.engage")].includes(true);
  const off = useMutation({
    mutationFn: () =>
      answer(api.DELETE("/api/v1/accounts/{id}/live", { params: { path: { id: account.id } } })),
  });
  return (
    <>
      <Notice tone="bad" title="Real money moves on this account">
        Switched on since <DateTime at={since} />. Whoever trades here needs a grant for real money
        besides.
      </Notice>
      {may && account.access !== "view" && (
        <>
          <Button look="danger" disabled={off.isPending} onClick={() => off.mutate()}>
            Switch real money off
          </Button>
          <p className="text-xs text-muted">
            No new orders are taken from then on. What works at the broker goes on working: the kill
            switch stops that too.
          </p>
        </>
      )}
      {off.error && <Refusal problem={problemOf(off.error)} title="It was not switched off" />}
    </>
  );
}

function Off({ account }: { account: AccountSummary }) {
  const may = useMay("accounts.live") && account.access !== "view";
  const [asking, setAsking] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  return (
    <>
      <p className="text-muted">
        Real money is off: the desk takes no orders for this account. It is switched on by a person
        with a second factor, and whoever trades then needs a grant for real money besides.
      </p>
      {may && (
        <Button ref={button} look="danger" onClick={() => setAsking(true)}>
          Switch real money on…
        </Button>
      )}
      {asking && (
        <SwitchOn
          account={account}
          returnTo={() => button.current}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}

interface SwitchOnProps {
  account: AccountSummary;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Asks for the account's name, so that nobody switches on the wrong one, and for the second factor. */
export function SwitchOn({ account, returnTo, onClose }: SwitchOnProps) {
  const form = useId();
  const [name, setName] = useState("");
  const on = useMutation({
    mutationFn: () =>
      withStepUp(() =>
        answer(
          api.POST("/api/v1/accounts/{id}/live", {
            params: { path: { id: account.id } },
            body: { name: name.trim() },
          }),
        ),
      ),
    onSuccess: onClose,
  });
  const problem = on.error && !isStepUpNeeded(on.error) ? problemOf(on.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() && !on.isPending) on.mutate();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      returnTo={returnTo}
      title={`Real money on ${account.name}?`}
      description="From then on orders on this account cost and earn real money."
      footer={
        <>
          <Button className="flex-1" onClick={onClose}>
            Back
          </Button>
          <Button
            type="submit"
            form={form}
            look="sell"
            className="flex-[2]"
            disabled={!name.trim() || on.isPending}
          >
            {on.isPending ? "Switching…" : "Switch real money on"}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
        <Field
          data-first-focus
          label="The account's name, to be sure"
          name="name"
          placeholder={account.name}
          value={name}
          error={problem?.field === "name" ? problem.detail : null}
          onChange={(event) => setName(event.target.value)}
        />
        {problem && problem.field !== "name" && (
          <Refusal problem={problem} title="It was not switched on" />
        )}
      </form>
    </Dialog>
  );
}
