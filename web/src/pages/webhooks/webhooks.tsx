import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { AccountSummary, Webhook } from "../../api/types";
import { Button } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Plus } from "../../ui/icons";
import { Panel, Tag, type Tone } from "../../ui/surface";
import { type Column, Table } from "../../ui/table";
import { Refusal } from "../refusal";
import { useSession } from "../session";
import { CreateWebhook } from "./create-webhook";
import { WebhookDetail } from "./webhook";

/** How a webhook stands, in a word: one that is on but not taken says so. */
export function standing(
  webhook: Pick<Webhook, "state" | "failing_since">,
): readonly [string, Tone] {
  if (webhook.state === "failed") return ["switched off by the desk", "bad"];
  if (webhook.state === "off") return ["off", "calm"];
  return webhook.failing_since === null ? ["on", "good"] : ["failing", "warn"];
}

/** The addresses that are told what happens, and what they were told. */
export function Webhooks() {
  const { accounts } = useSession();
  const { webhook: chosen } = useSearch({ from: "/webhooks" });
  const navigate = useNavigate({ from: "/webhooks" });
  const webhooks = useQuery({
    queryKey: ["webhooks"],
    queryFn: () => answer(api.GET("/api/v1/webhooks")),
    // The desk switches one off by itself.
    refetchInterval: 10_000,
  });
  const [opener, setOpener] = useState<HTMLElement | null>(null);
  const columns = useMemo(() => {
    const choose = (id: string) => {
      void navigate({ search: (old) => ({ ...old, webhook: id }) });
    };
    return webhookColumns(accounts, choose);
  }, [accounts, navigate]);
  const open = webhooks.data?.items.find((one) => one.id === chosen);
  return (
    <div className="flex flex-col gap-3">
      <Panel
        title={<h1>Webhooks</h1>}
        aside={
          <Button small look="primary" onClick={(event) => setOpener(event.currentTarget)}>
            <Plus className="size-3.5" /> New webhook
          </Button>
        }
      >
        <p className="border-b border-line px-3 py-2 text-muted">
          An address that is told what happens, signed, and again until it takes it. It is never
          told more than you may see.
        </p>
        {webhooks.error && !webhooks.data ? (
          <div className="p-3">
            <Refusal problem={problemOf(webhooks.error)} title="The webhooks could not be loaded" />
          </div>
        ) : (
          <Table
            label="Webhooks"
            columns={columns}
            rows={webhooks.data?.items ?? []}
            rowId={(webhook) => webhook.id}
            empty={
              webhooks.data
                ? "No webhooks yet. One tells another program what happens."
                : "Loading…"
            }
          />
        )}
      </Panel>
      {open && <WebhookDetail key={open.id} webhook={open} />}
      {opener && <CreateWebhook returnTo={() => opener} onClose={() => setOpener(null)} />}
    </div>
  );
}

function webhookColumns(
  accounts: readonly AccountSummary[],
  choose: (id: string) => void,
): Column<Webhook>[] {
  return [
    {
      id: "name",
      header: "Name",
      sort: (webhook) => webhook.name,
      cell: (webhook) => {
        const [word, tone] = standing(webhook);
        return (
          <>
            <span className="font-medium">{webhook.name}</span> <Tag tone={tone}>{word}</Tag>
            <code className="block max-w-[60vw] truncate text-2xs text-muted md:max-w-xs">
              {webhook.url}
            </code>
          </>
        );
      },
    },
    {
      id: "account",
      header: "About",
      wide: true,
      cell: (webhook) =>
        webhook.account_id === null
          ? "every account"
          : (accounts.find((one) => one.id === webhook.account_id)?.name ?? "not yours"),
    },
    {
      id: "kinds",
      header: "Is told",
      wide: true,
      cell: (webhook) =>
        webhook.kinds.length === 0 ? (
          "everything"
        ) : (
          <span className="flex flex-wrap gap-1">
            {webhook.kinds.map((kind) => (
              <Tag key={kind}>{kind}</Tag>
            ))}
          </span>
        ),
    },
    {
      id: "created",
      header: "Created",
      wide: true,
      sort: (webhook) => webhook.created_at,
      cell: (webhook) => <DateTime at={webhook.created_at} />,
    },
    {
      id: "open",
      header: "Open",
      numeric: true,
      cell: (webhook) => (
        <Button small onClick={() => choose(webhook.id)}>
          Open<span className="sr-only"> {webhook.name}</span>
        </Button>
      ),
    },
  ];
}
