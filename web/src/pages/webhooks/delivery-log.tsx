import { useMemo, useRef, useState } from "react";
import { answer, api } from "../../api/client";
import type { Webhook, WebhookDelivery } from "../../api/types";
import { count } from "../../format/quantity";
import { dateTime } from "../../format/time";
import { Button } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Dialog } from "../../ui/dialog";
import { Tag, type Tone } from "../../ui/surface";
import { type Column, Table } from "../../ui/table";
import { useAct } from "../act";
import { More, nothing, usePages } from "../paging";
import { Refusal } from "../refusal";

const TONES: Record<WebhookDelivery["status"], Tone> = {
  waiting: "warn",
  delivered: "good",
  failed: "bad",
  withheld: "calm",
};

/** What a webhook was told, newest first. */
export function DeliveryLog({ webhook: { id } }: { webhook: Webhook }) {
  const pages = usePages<WebhookDelivery>(["deliveries", id], (cursor) =>
    answer(
      api.GET("/api/v1/webhooks/{id}/deliveries", {
        params: { path: { id }, query: { cursor, limit: 50 } },
      }),
    ),
  );
  const [opened, setOpened] = useState<number | null>(null);
  const opener = useRef<HTMLElement | null>(null);
  const columns = useMemo(
    () =>
      deliveryColumns((delivery, from) => {
        opener.current = from;
        setOpened(delivery.seq);
      }),
    [],
  );
  const open = pages.rows.find((one) => one.seq === opened);
  return (
    <>
      <Table
        label="What it was told"
        columns={columns}
        rows={pages.rows}
        rowId={(delivery) => String(delivery.seq)}
        empty={nothing(pages, "It was told nothing yet.")}
      />
      <More pages={pages}>
        <Button small disabled={pages.isFetching} onClick={() => void pages.refetch()}>
          Look again
        </Button>
      </More>
      {open && (
        <Detail
          id={id}
          delivery={open}
          returnTo={() => opener.current}
          onClose={() => setOpened(null)}
        />
      )}
    </>
  );
}

function deliveryColumns(
  open: (delivery: WebhookDelivery, from: HTMLElement) => void,
): Column<WebhookDelivery>[] {
  const last = (delivery: WebhookDelivery) => delivery.attempts.at(-1);
  return [
    {
      id: "kind",
      header: "Event",
      cell: (delivery) => (
        <>
          <code>{delivery.kind}</code> <Tag tone={TONES[delivery.status]}>{delivery.status}</Tag>
        </>
      ),
    },
    {
      id: "tried",
      header: "Tried",
      numeric: true,
      cell: (delivery) => count(delivery.tried),
    },
    {
      id: "at",
      header: "Last attempt",
      wide: true,
      cell: (delivery) => {
        const attempt = last(delivery);
        return attempt ? <DateTime at={attempt.at} /> : "none yet";
      },
    },
    {
      id: "answer",
      header: "Answer",
      wide: true,
      cell: (delivery) => last(delivery)?.http_status ?? last(delivery)?.error ?? "",
    },
    {
      id: "took",
      header: "ms",
      wide: true,
      numeric: true,
      cell: (delivery) => {
        const attempt = last(delivery);
        return attempt ? count(attempt.duration_ms) : "";
      },
    },
    {
      id: "next",
      header: "Next attempt",
      wide: true,
      cell: (delivery) => delivery.next_at !== null && <DateTime at={delivery.next_at} />,
    },
    {
      id: "open",
      header: "Details",
      numeric: true,
      cell: (delivery) => (
        <Button small onClick={(event) => open(delivery, event.currentTarget)}>
          Details<span className="sr-only"> of number {delivery.seq}</span>
        </Button>
      ),
    },
  ];
}

interface DetailProps {
  id: string;
  delivery: WebhookDelivery;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** What was sent, and every attempt with what came back. */
function Detail({ id, delivery, returnTo, onClose }: DetailProps) {
  const { seq } = delivery;
  const again = useAct(
    () =>
      answer(
        api.POST("/api/v1/webhooks/{id}/deliveries/{seq}/redeliver", {
          params: { path: { id, seq } },
        }),
      ),
    { changes: ["deliveries"], onDone: onClose },
  );
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      returnTo={returnTo}
      title={`${delivery.kind}, ${delivery.status}`}
      description={
        <>
          Event <code>{delivery.event_id}</code>
        </>
      }
      footer={
        <Button
          className="ml-auto"
          disabled={delivery.status === "waiting" || again.pending}
          onClick={() => again.send()}
        >
          {again.pending ? "Telling…" : "Tell it again"}
        </Button>
      }
    >
      <div className="flex flex-col gap-3">
        {again.problem && <Refusal problem={again.problem} title="It is not told again" />}
        <div>
          <h3 className="mb-1 text-xs text-muted">What is sent</h3>
          <pre className="max-h-60 overflow-auto rounded-md bg-ground p-2 text-xs whitespace-pre-wrap wrap-anywhere">
            {pretty(delivery.body)}
          </pre>
        </div>
        <ol className="flex flex-col gap-2">
          {delivery.attempts.map((attempt) => (
            <li key={attempt.at} className="rounded-md border border-line p-2">
              <span className="flex flex-wrap items-center gap-2">
                <Tag tone={attempt.error === null ? "good" : "bad"}>
                  {attempt.http_status ?? "no answer"}
                </Tag>
                {dateTime(attempt.at)}, {count(attempt.duration_ms)} ms
              </span>
              {attempt.error && <p className="mt-1">{attempt.error}</p>}
              {attempt.answer && (
                <pre className="mt-1 max-h-40 overflow-auto text-xs whitespace-pre-wrap wrap-anywhere text-muted">
                  {attempt.answer}
                </pre>
              )}
            </li>
          ))}
        </ol>
        {delivery.next_at !== null && <p>It is tried again {dateTime(delivery.next_at)}.</p>}
      </div>
    </Dialog>
  );
}

/** JSON in lines; what is no JSON stays as it is. */
function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
