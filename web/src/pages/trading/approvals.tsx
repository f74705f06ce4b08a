import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { Approval } from "../../api/types";
import { sentence } from "../../format/sentence";
import { age } from "../../format/time";
import { approvals } from "../../live/desk";
import { useResource } from "../../live/resource";
import { isStepUpNeeded, withStepUp } from "../../live/step-up";
import { Button, Field } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Empty, Fact, Panel, Tag, type Tone } from "../../ui/surface";
import { ModeBadge } from "../frame/mode";
import { useNow } from "../frame/now";
import { Refusal } from "../refusal";
import { useAccountIds, useMay, useSession } from "../session";
import { limitText } from "./limits";
import { orderLine } from "./words";

const STATUS: Record<Approval["status"], [word: string, tone: Tone]> = {
  waiting: ["Waiting", "warn"],
  approved: ["Approved", "good"],
  refused: ["Refused", "bad"],
  expired: ["Expired", "calm"],
  withdrawn: ["Withdrawn", "calm"],
};

/** What waits for a second person, and what was decided. */
export function Approvals() {
  const { state, problem } = useResource(approvals(useAccountIds()));
  const waiting = state?.filter((one) => one.status === "waiting") ?? [];
  const decided = state?.filter((one) => one.status !== "waiting") ?? [];
  return (
    <div className="flex flex-col gap-3">
      <Panel title={<h1>Approvals</h1>}>
        {problem && !state && (
          <div className="p-3">
            <Refusal problem={problem} title="The list could not be loaded" />
          </div>
        )}
        {state && waiting.length === 0 && (
          <Empty>
            Nothing waits. Orders above an approval limit, and limits that are to be loosened, stand
            here until somebody else agrees.
          </Empty>
        )}
        <ul className="divide-y divide-line">
          {waiting.map((one) => (
            <li key={one.id}>
              <Waiting approval={one} />
            </li>
          ))}
        </ul>
      </Panel>
      {decided.length > 0 && (
        <Panel title="Decided">
          <ul className="divide-y divide-line/60">
            {decided.map((one) => (
              <li key={one.id}>
                <Decided approval={one} />
              </li>
            ))}
          </ul>
        </Panel>
      )}
    </div>
  );
}

/** What is asked for, in one line. */
function What({ of }: { of: Approval }) {
  const { accounts } = useSession();
  if (of.order) {
    const account = accounts.find((one) => one.id === of.order?.account_id);
    return (
      <span className="flex flex-wrap items-center gap-2">
        {account && <ModeBadge mode={account.mode} />}
        {orderLine(of.order.request)}
        {account && <span className="font-normal text-muted">on {account.name}</span>}
      </span>
    );
  }
  if (!of.limit) return null;
  const { title, scope, kind, before, after } = of.limit;
  const text = (value: string | null) => (value === null ? "no limit" : limitText(kind, value));
  return (
    <>
      {title} of {scope.name}: {text(before)} → {text(after)}
    </>
  );
}

function Waiting({ approval }: { approval: Approval }) {
  const { user } = useSession();
  const may = useMay("orders.approve");
  const client = useQueryClient();
  const [note, setNote] = useState("");
  const own = approval.asked_by.id === user.id;
  const path = { id: approval.id };
  const decide = useMutation({
    mutationFn: (choice: "approve" | "refuse" | "withdraw") =>
      withStepUp(() => {
        if (choice === "withdraw")
          return answer(api.POST("/api/v1/approvals/{id}/withdraw", { params: { path } }));
        const body = { note: note.trim() };
        return choice === "approve"
          ? answer(api.POST("/api/v1/approvals/{id}/approve", { params: { path }, body }))
          : answer(api.POST("/api/v1/approvals/{id}/refuse", { params: { path }, body }));
      }),
    onSuccess: () => {
      for (const key of ["orders", "limits"]) void client.invalidateQueries({ queryKey: [key] });
    },
  });
  const refused = decide.error && !isStepUpNeeded(decide.error) ? problemOf(decide.error) : null;
  const act = (choice: "approve" | "refuse" | "withdraw") => () => {
    if (!decide.isPending) decide.mutate(choice);
  };
  return (
    <article className="grid gap-x-8 gap-y-3 p-3 md:grid-cols-[minmax(0,1fr)_minmax(0,18rem)]">
      <div>
        <h2 className="font-semibold">
          <What of={approval} />
        </h2>
        <p className="mt-1 text-muted">{approval.why}</p>
        <dl className="mt-1 max-w-sm">
          <Fact name="Asked by">{own ? "you" : approval.asked_by.name}</Fact>
          <Fact name="Asked at">
            <DateTime at={approval.asked_at} />
          </Fact>
          <Fact name="Ends in">
            <Left until={approval.expires_at} />
          </Fact>
        </dl>
      </div>
      {own ? (
        <div className="flex flex-col items-start gap-2">
          <p className="text-muted">Somebody else has to decide.</p>
          <Button onClick={act("withdraw")}>Withdraw</Button>
        </div>
      ) : (
        may && (
          <div className="flex flex-col gap-2">
            <Field
              label="Note"
              unit="optional"
              name="note"
              maxLength={500}
              value={note}
              onChange={(event) => setNote(event.target.value)}
            />
            <div className="flex gap-2">
              <Button look="danger" className="flex-1" onClick={act("refuse")}>
                Refuse
              </Button>
              <Button look="primary" className="flex-1" onClick={act("approve")}>
                Approve
              </Button>
            </div>
          </div>
        )
      )}
      {refused && (
        <div className="md:col-span-2">
          <Refusal problem={refused} title="It was not decided" />
        </div>
      )}
    </article>
  );
}

function Left({ until }: { until: string }) {
  useNow(1_000);
  const left = Date.parse(until) - Date.now();
  return left <= 0 ? "now" : age(left);
}

function Decided({ approval }: { approval: Approval }) {
  const [word, tone] = STATUS[approval.status];
  return (
    <article className="flex flex-wrap items-start gap-x-6 gap-y-1 px-3 py-2.5">
      <div className="min-w-0 flex-1">
        <h3 className="font-medium">
          <What of={approval} />
        </h3>
        <p className="text-xs text-muted">
          asked by {approval.asked_by.name}
          {approval.decided_by &&
            approval.status !== "withdrawn" &&
            `, decided by ${approval.decided_by.name}`}
          {approval.note && `: ${approval.note}`}
        </p>
        {approval.order_id ? (
          <Link
            to="/orders"
            search={{ order: approval.order_id }}
            className="text-xs text-accent underline-offset-2 hover:underline"
          >
            See the order
          </Link>
        ) : (
          approval.result && <p className="text-xs">{sentence(approval.result)}</p>
        )}
      </div>
      <p className="text-right text-xs text-muted">
        <Tag tone={tone}>{word}</Tag>
        <br />
        <DateTime at={approval.decided_at ?? approval.expires_at} />
      </p>
    </article>
  );
}
