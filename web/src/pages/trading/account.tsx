import { useMutation } from "@tanstack/react-query";
import { answer, api, idempotencyKey, problemOf } from "../../api/client";
import type { AccountDetail, AccountSummary } from "../../api/types";
import { UNKNOWN } from "../../format/money";
import { count } from "../../format/quantity";
import { account as accountResource } from "../../live/desk";
import { useResource } from "../../live/resource";
import { Button } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Meter } from "../../ui/meter";
import { Empty, Fact, Panel, Tag } from "../../ui/surface";
import { ModeBadge } from "../frame/mode";
import { Refusal } from "../refusal";
import { useAccount, useMay } from "../session";
import { Abilities } from "./abilities";
import { AccountAccess } from "./account-access";
import { AccountStrip } from "./account-strip";
import { ManageAccount } from "./manage-account";
import { RealMoney } from "./real-money";

/** One account: its money, how the desk sees it at the broker, whether money is real, and what the broker can do. */
export function Account() {
  const account = useAccount();
  if (!account) return <Empty>No account is granted to you.</Empty>;
  return (
    <div key={account.id} className="flex flex-col gap-3">
      <h1 className="sr-only">Account {account.name}</h1>
      <AccountStrip account={account} />
      <div className="grid gap-3 lg:grid-cols-2">
        <AtTheBroker account={account} />
        <div className="flex flex-col gap-3">
          <RealMoney account={account} />
          <ManageAccount account={account} />
          <AccountAccess account={account} />
        </div>
      </div>
      <Abilities account={account} />
    </div>
  );
}

/** What the desk knows of the account at the broker, and how well it can ask. */
function AtTheBroker({ account }: { account: AccountSummary }) {
  const { state } = useResource(accountResource(account.id));
  return (
    <Panel title="At the broker" className="self-start" aside={<Compare account={account} />}>
      <dl className="divide-y divide-line/60 px-3 py-1">
        <Fact name="Account">
          <span className="inline-flex items-center gap-2">
            {account.name} <ModeBadge mode={account.mode} />
          </span>
        </Fact>
        <Fact name="Broker">{account.broker}</Fact>
        <Fact name="Currency">{account.currency}</Fact>
        {state && <Seen state={state} />}
      </dl>
    </Panel>
  );
}

function Seen({ state }: { state: AccountDetail }) {
  const { free, burst, per_minute } = state.requests;
  const used = burst - free;
  return (
    <>
      <Fact name="Seen by the desk">
        {state.state === "blind" ? (
          <>
            <Tag tone="bad">Blind</Tag> since <DateTime at={state.blind_since_at} />
          </>
        ) : (
          <Tag tone="good">Agrees with the broker</Tag>
        )}
      </Fact>
      <Fact name="Connected since">
        {state.stream_since_at === null ? (
          <Tag tone="bad">Not connected</Tag>
        ) : (
          <DateTime at={state.stream_since_at} />
        )}
      </Fact>
      <Fact name="Last heard">
        {state.heard_at === null ? UNKNOWN : <DateTime at={state.heard_at} />}
      </Fact>
      {(state.credentials_since_at !== null || state.locked_out) && (
        <Fact name="Credentials">
          {state.locked_out ? (
            <Tag tone="bad">Not accepted any more</Tag>
          ) : (
            <>
              of <DateTime at={state.credentials_since_at} />
            </>
          )}
        </Fact>
      )}
      {state.paused_since_at !== null && (
        <Fact name="Paused since">
          <DateTime at={state.paused_since_at} />
        </Fact>
      )}
      {state.sparing_since_at && (
        <Fact name="Broker spared since">
          <DateTime at={state.sparing_since_at} />
        </Fact>
      )}
      <Fact name="Last answer took">
        {state.broker_latency_ms === null ? UNKNOWN : `${count(state.broker_latency_ms)} ms`}
      </Fact>
      <Fact name="Open orders">{count(state.open_orders)}</Fact>
      <Fact name="Requests in use">
        {count(used)} of {count(burst)}, {count(per_minute)} a minute
        <span className="mt-1.5 mb-1 block">
          <Meter
            label="Requests in use"
            fraction={burst === 0 ? 1 : used / burst}
            text={`${count(used)} of ${count(burst)}`}
          />
        </span>
      </Fact>
    </>
  );
}

/** Asks for a comparison now, without waiting for the next one by the clock. */
function Compare({ account }: { account: AccountSummary }) {
  const may = useMay("orders.resolve") && account.access !== "view";
  const compare = useMutation({
    mutationFn: () =>
      answer(
        api.POST("/api/v1/accounts/{id}/reconcile", {
          params: { path: { id: account.id }, header: { "Idempotency-Key": idempotencyKey() } },
        }),
      ),
  });
  if (!may) return null;
  return (
    <>
      <Button small disabled={compare.isPending} onClick={() => compare.mutate()}>
        Compare with the broker
      </Button>
      {compare.isSuccess && (
        <p role="status" className="w-full pb-1 text-xs text-muted">
          Compared anew. What differs is adopted and stands in the journal.
        </p>
      )}
      {compare.error && (
        <div className="w-full pb-1">
          <Refusal problem={problemOf(compare.error)} title="Nothing was compared" />
        </div>
      )}
    </>
  );
}
