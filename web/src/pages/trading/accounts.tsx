import { Link } from "@tanstack/react-router";
import { type ReactNode, useMemo, useRef, useState } from "react";
import type { AccountDetail, AccountSummary } from "../../api/types";
import { UNKNOWN } from "../../format/money";
import { count } from "../../format/quantity";
import { account as accountResource } from "../../live/desk";
import { useResource } from "../../live/resource";
import { Button } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Plus } from "../../ui/icons";
import { Panel } from "../../ui/surface";
import { type Column, Table } from "../../ui/table";
import { ModeBadge } from "../frame/mode";
import { useMay, useSession } from "../session";
import { Standing } from "./account-standing";
import { AddAccount } from "./add-account";

/** The accounts at brokers that were granted, how each stands now, and the way to add one. */
export function Accounts() {
  const { accounts } = useSession();
  const may = useMay("accounts.manage");
  const [adding, setAdding] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const columns = useMemo(accountColumns, []);
  return (
    <Panel
      title={<h1>Broker accounts</h1>}
      aside={
        may && (
          <Button ref={button} small look="primary" onClick={() => setAdding(true)}>
            <Plus className="size-3.5" /> Add an account
          </Button>
        )
      }
    >
      <p className="border-b border-line px-3 py-2 text-muted">
        The keys of brokers go in once and are shown to nobody again. People and programs trade
        through the desk, on the accounts that they were granted.
      </p>
      <Table
        label="Broker accounts"
        columns={columns}
        rows={accounts}
        rowId={(account) => account.id}
        empty="No account is granted to you."
        maxHeight="calc(100dvh - 16rem)"
      />
      {adding && <AddAccount returnTo={() => button.current} onClose={() => setAdding(false)} />}
    </Panel>
  );
}

/** Something of how the account stands now; a dash until the desk has said it. */
function Now({
  account,
  children,
}: {
  account: AccountSummary;
  children(state: AccountDetail): ReactNode;
}) {
  const { state } = useResource(accountResource(account.id));
  return state ? children(state) : UNKNOWN;
}

function moment(at: string | null): ReactNode {
  return at === null ? UNKNOWN : <DateTime at={at} />;
}

function accountColumns(): Column<AccountSummary>[] {
  return [
    {
      id: "name",
      header: "Name",
      sort: (account) => account.name,
      cell: (account) => (
        <>
          <Link
            to="/account"
            search={{ account: account.id }}
            className="inline-flex min-h-11 items-center font-medium underline underline-offset-2 sm:min-h-7"
          >
            {account.name}
          </Link>
          <span className="block text-2xs text-muted">at {account.broker}</span>
        </>
      ),
    },
    {
      id: "mode",
      header: "Money",
      sort: (account) => account.mode,
      cell: (account) => <ModeBadge mode={account.mode} />,
    },
    {
      id: "state",
      header: "State",
      cell: (account) => <Now account={account}>{(state) => <Standing state={state} />}</Now>,
    },
    {
      id: "stream",
      header: "Connected since",
      wide: true,
      cell: (account) => <Now account={account}>{(state) => moment(state.stream_since_at)}</Now>,
    },
    {
      id: "heard",
      header: "Last heard",
      wide: true,
      cell: (account) => <Now account={account}>{(state) => moment(state.heard_at)}</Now>,
    },
    {
      id: "credentials",
      header: "Credentials of",
      wide: true,
      cell: (account) => (
        <Now account={account}>{(state) => moment(state.credentials_since_at)}</Now>
      ),
    },
    {
      id: "requests",
      header: "Requests free",
      wide: true,
      numeric: true,
      cell: (account) => (
        <Now account={account}>
          {({ requests }) => `${count(requests.free)} of ${count(requests.burst)}`}
        </Now>
      ),
    },
    {
      id: "access",
      header: "Your access",
      wide: true,
      sort: (account) => account.access,
      cell: (account) => account.access,
    },
  ];
}
