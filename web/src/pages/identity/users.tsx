import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useRef, useState } from "react";
import { answer, api } from "../../api/client";
import type { User } from "../../api/types";
import { dateTime } from "../../format/time";
import { Button } from "../../ui/controls";
import { Plus } from "../../ui/icons";
import { Panel, Tag, type Tone } from "../../ui/surface";
import { type Column, Table } from "../../ui/table";
import { Tabs } from "../../ui/tabs";
import { More, nothing, usePages } from "../paging";
import { useMay } from "../session";
import { CreateUser } from "./create-user";
import { EditUser } from "./edit-user";
import { RoleMatrix } from "./role-matrix";
import { useRoles } from "./roles";

const STATUS: Record<User["status"], Tone> = { active: "good", invited: "warn", disabled: "bad" };

/** People, and what each role may do. */
export function Users() {
  const { tab = "people" } = useSearch({ from: "/users" });
  const navigate = useNavigate({ from: "/users" });
  const may = useMay("users.manage");
  const [creating, setCreating] = useState(false);
  const createButton = useRef<HTMLButtonElement>(null);
  return (
    <Panel
      title={<h1>Users</h1>}
      aside={
        may && (
          <Button ref={createButton} small look="primary" onClick={() => setCreating(true)}>
            <Plus className="size-3.5" /> New user
          </Button>
        )
      }
    >
      <Tabs
        label="Users and roles"
        value={tab}
        onChange={(next) => navigate({ search: (old) => ({ ...old, tab: next as typeof tab }) })}
        tabs={[
          { value: "people", text: "People", content: <People /> },
          { value: "roles", text: "Roles and permissions", content: <RoleMatrix /> },
        ]}
      />
      {creating && (
        <CreateUser returnTo={() => createButton.current} onClose={() => setCreating(false)} />
      )}
    </Panel>
  );
}

function People() {
  const roles = useRoles().data;
  const pages = usePages<User>(["users"], (cursor) =>
    answer(api.GET("/api/v1/users", { params: { query: { cursor, limit: 100 } } })),
  );
  const [editing, setEditing] = useState<string | null>(null);
  const opener = useRef<HTMLElement | null>(null);
  const columns = useMemo(
    () =>
      peopleColumns(
        (role) => roles?.items.find((one) => one.role === role)?.role.replaceAll("_", " ") ?? role,
        (id, from) => {
          opener.current = from;
          setEditing(id);
        },
      ),
    [roles],
  );
  const user = pages.rows.find((one) => one.id === editing);
  return (
    <>
      <Table
        label="People"
        columns={columns}
        rows={pages.rows}
        rowId={(one) => one.id}
        empty={nothing(pages, "Nobody yet.")}
        maxHeight="calc(100dvh - 19rem)"
      />
      <More pages={pages} />
      {user && (
        <EditUser user={user} returnTo={() => opener.current} onClose={() => setEditing(null)} />
      )}
    </>
  );
}

function peopleColumns(
  roleName: (role: string) => string,
  open: (id: string, from: HTMLElement) => void,
): Column<User>[] {
  return [
    {
      id: "name",
      header: "Name",
      sort: (u) => u.display_name.toLowerCase(),
      cell: (u) => (
        <button
          type="button"
          className="min-h-8 text-left underline-offset-2 hover:underline"
          onClick={(event) => open(u.id, event.currentTarget)}
        >
          <b className="font-semibold text-accent">{u.display_name}</b>{" "}
          <span className="text-muted">{u.username}</span>
        </button>
      ),
    },
    {
      id: "roles",
      header: "Roles",
      cell: (u) => (
        <span className="flex flex-wrap gap-1">
          {u.roles.map((role) => (
            <Tag key={role}>{roleName(role)}</Tag>
          ))}
        </span>
      ),
    },
    {
      id: "grants",
      header: "Accounts",
      wide: true,
      cell: (u) =>
        u.grants.length === 0
          ? "–"
          : u.grants.map((grant) => `${grant.account_name} (${grant.access})`).join(", "),
    },
    {
      id: "seen",
      header: "Last signed in",
      wide: true,
      sort: (u) => u.last_sign_in_at ?? "",
      cell: (u) => dateTime(u.last_sign_in_at),
    },
    {
      id: "status",
      header: "Status",
      sort: (u) => u.status,
      cell: (u) => <Tag tone={STATUS[u.status]}>{u.status}</Tag>,
    },
  ];
}
