import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { AccountSummary, ApiKey } from "../../api/types";
import { Button } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Plus } from "../../ui/icons";
import { Panel, Tag } from "../../ui/surface";
import { type Column, Table } from "../../ui/table";
import { useNow } from "../frame/now";
import { Refusal } from "../refusal";
import { useAccount, useSession } from "../session";
import { CreateKey } from "./create-key";
import { RevokeKey } from "./revoke-key";

/** What is open on top of the page, and where the focus goes after it. */
type Open = { key: ApiKey | "new"; from: HTMLElement } | null;

/** The keys by which one's own programs act in one's name: what each may do, from where, and when it last did. */
export function Keys() {
  const { accounts } = useSession();
  const account = useAccount();
  const keys = useQuery({ queryKey: ["keys"], queryFn: () => answer(api.GET("/api/v1/keys")) });
  const [open, setOpen] = useState<Open>(null);
  const columns = useMemo(() => keyColumns(accounts, setOpen), [accounts]);
  const close = { returnTo: () => open?.from ?? null, onClose: () => setOpen(null) };
  // A key that ends while the page is open should say so.
  useNow(10_000);
  return (
    <Panel
      title={<h1>API keys</h1>}
      aside={
        <Button
          small
          look="primary"
          disabled={account === undefined}
          onClick={(event) => setOpen({ key: "new", from: event.currentTarget })}
        >
          <Plus className="size-3.5" /> New key
        </Button>
      }
    >
      <p className="border-b border-line px-3 py-2 text-muted">
        A program that shows a key acts in your name, on one account, and never does more than you
        may. Alpaca's clients work with it too.
      </p>
      {keys.error && !keys.data ? (
        <div className="p-3">
          <Refusal problem={problemOf(keys.error)} title="The keys could not be loaded" />
        </div>
      ) : (
        <Table
          label="API keys"
          columns={columns}
          rows={keys.data?.items ?? []}
          rowId={(key) => key.id}
          empty={keys.data ? "No keys yet. A program needs one to act in your name." : "Loading…"}
          maxHeight="calc(100dvh - 16rem)"
        />
      )}
      {open?.key === "new" && account && <CreateKey account={account} {...close} />}
      {open && open.key !== "new" && <RevokeKey apiKey={open.key} {...close} />}
    </Panel>
  );
}

/** How a key stands at a moment; one that is revoked stays so, whatever its time says. */
export function standing(
  { revoked_at, expires_at }: Pick<ApiKey, "revoked_at" | "expires_at">,
  now: number,
): "good" | "revoked" | "over" {
  if (revoked_at !== null) return "revoked";
  return expires_at !== null && Date.parse(expires_at) <= now ? "over" : "good";
}

const STANDING = {
  good: null,
  revoked: <Tag tone="bad">revoked</Tag>,
  over: <Tag tone="warn">over</Tag>,
} as const;

function keyColumns(
  accounts: readonly AccountSummary[],
  open: (what: Open) => void,
): Column<ApiKey>[] {
  const small = (text: ReactNode) => <span className="block text-2xs text-muted">{text}</span>;
  return [
    {
      id: "name",
      header: "Name",
      sort: (key) => key.name,
      cell: (key) => (
        <>
          <span className="font-medium">{key.name}</span> {STANDING[standing(key, Date.now())]}
          <code>{small(key.id)}</code>
        </>
      ),
    },
    {
      id: "account",
      header: "Account",
      wide: true,
      cell: (key) => accounts.find((one) => one.id === key.account_id)?.name ?? "not yours",
    },
    {
      id: "scopes",
      header: "May",
      wide: true,
      cell: (key) => (
        <span className="flex flex-wrap gap-1">
          {key.scopes.map((scope) => (
            <Tag key={scope}>{scope}</Tag>
          ))}
        </span>
      ),
    },
    {
      id: "networks",
      header: "From",
      wide: true,
      cell: (key) => (key.networks.length === 0 ? "anywhere" : key.networks.join(", ")),
    },
    {
      id: "used",
      header: "Last used",
      sort: (key) => key.last_used_at ?? "",
      cell: (key) =>
        key.last_used_at === null ? (
          "never"
        ) : (
          <>
            <DateTime at={key.last_used_at} />
            {small(key.last_used_from)}
          </>
        ),
    },
    {
      id: "expires",
      header: "Ends",
      wide: true,
      sort: (key) => key.expires_at ?? "9",
      cell: (key) => (key.expires_at === null ? "never" : <DateTime at={key.expires_at} />),
    },
    {
      id: "created",
      header: "Created",
      wide: true,
      sort: (key) => key.created_at,
      cell: (key) => <DateTime at={key.created_at} />,
    },
    {
      id: "revoke",
      header: "Revoke",
      numeric: true,
      cell: (key) =>
        standing(key, Date.now()) !== "revoked" && (
          <Button small look="danger" onClick={(event) => open({ key, from: event.currentTarget })}>
            Revoke<span className="sr-only"> {key.name}</span>
          </Button>
        ),
    },
  ];
}
