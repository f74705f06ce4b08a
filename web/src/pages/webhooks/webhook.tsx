import { useState } from "react";
import { answer, api } from "../../api/client";
import type { Webhook, WebhookDelivery } from "../../api/types";
import { count } from "../../format/quantity";
import { dateTime } from "../../format/time";
import { Button } from "../../ui/controls";
import { Fact, Notice, Panel, Tag } from "../../ui/surface";
import { useAct } from "../act";
import { Refusal } from "../refusal";
import { DeleteWebhook, RotateSecret } from "./change-webhook";
import { DeliveryLog } from "./delivery-log";
import { standing } from "./webhooks";

/** What is open on top of the page, and where the focus goes after it. */
type Open = { what: "delete" | "rotate"; from: HTMLElement } | null;

/** One webhook: where it goes, how it stands, what can be done with it, and what it was told. */
export function WebhookDetail({ webhook }: { webhook: Webhook }) {
  const { id } = webhook;
  const [open, setOpen] = useState<Open>(null);
  const close = { returnTo: () => open?.from ?? null, onClose: () => setOpen(null) };
  const switched = useAct(
    (on: boolean) =>
      answer(api.PATCH("/api/v1/webhooks/{id}", { params: { path: { id } }, body: { on } })),
    { changes: ["webhooks", "deliveries"] },
  );
  const tested = useAct(
    () => answer(api.POST("/api/v1/webhooks/{id}/test", { params: { path: { id } } })),
    { changes: ["deliveries"] },
  );
  const [word, tone] = standing(webhook);
  const problem = switched.problem ?? tested.problem;
  return (
    <Panel
      title={webhook.name}
      aside={
        <span className="flex flex-wrap gap-1.5">
          <Button small look="primary" disabled={tested.pending} onClick={() => tested.send()}>
            {tested.pending ? "Testing…" : "Test"}
          </Button>
          <Button
            small
            disabled={switched.pending}
            onClick={() => switched.send(webhook.state !== "on")}
          >
            {webhook.state === "on" ? "Switch off" : "Switch on"}
          </Button>
          <Button small onClick={(event) => setOpen({ what: "rotate", from: event.currentTarget })}>
            New secret
          </Button>
          <Button
            small
            look="danger"
            onClick={(event) => setOpen({ what: "delete", from: event.currentTarget })}
          >
            Delete
          </Button>
        </span>
      }
    >
      <div className="flex flex-col gap-3 border-b border-line p-3">
        {webhook.state === "failed" && (
          <Notice tone="bad" title="The desk switched it off">
            {webhook.reason} What happens is not told until you switch it on again.
          </Notice>
        )}
        {problem && <Refusal problem={problem} />}
        {tested.answer && <TestResult delivery={tested.answer} />}
        <dl className="max-w-2xl">
          <Fact name="Goes to">
            <code className="text-xs">{webhook.url}</code>
          </Fact>
          <Fact name="Stands">
            <Tag tone={tone}>{word}</Tag>
          </Fact>
          {webhook.failing_since !== null && (
            <Fact name="No attempt succeeded since">{dateTime(webhook.failing_since)}</Fact>
          )}
          {webhook.former_secret_until !== null && (
            <Fact name="The former secret signs too until">
              {dateTime(webhook.former_secret_until)}
            </Fact>
          )}
        </dl>
      </div>
      <DeliveryLog webhook={webhook} />
      {open?.what === "delete" && <DeleteWebhook webhook={webhook} {...close} />}
      {open?.what === "rotate" && <RotateSecret webhook={webhook} {...close} />}
    </Panel>
  );
}

/** What came back on a ping. */
export function TestResult({ delivery }: { delivery: WebhookDelivery }) {
  const attempt = delivery.attempts.at(-1);
  if (!attempt) return null;
  return (
    <Notice
      tone={attempt.error === null ? "good" : "bad"}
      title={attempt.error === null ? "The ping was taken" : "The ping was not taken"}
    >
      {attempt.error ?? `It answered with status ${attempt.http_status}.`} It took{" "}
      {count(attempt.duration_ms)} ms.
      {attempt.answer && <pre className="mt-1 text-xs whitespace-pre-wrap">{attempt.answer}</pre>}
    </Notice>
  );
}
