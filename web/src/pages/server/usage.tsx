import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useMemo, useState } from "react";
import { answer, api } from "../../api/client";
import type { UsageBy, UsagePeriod, UsageRow } from "../../api/types";
import { UNKNOWN } from "../../format/money";
import { count } from "../../format/quantity";
import { Button, Field, Select } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Panel } from "../../ui/surface";
import { type Column, Table } from "../../ui/table";
import { Tabs } from "../../ui/tabs";
import { More, nothing, usePages } from "../paging";
import { useMay } from "../session";
import { Endpoints } from "./endpoints";

/** What was asked of the API, and which parts of it answer. */
export function Usage() {
  const { tab = "usage" } = useSearch({ from: "/usage" });
  const navigate = useNavigate({ from: "/usage" });
  const may = useMay("system.view");
  return (
    <Panel title={<h1>API usage</h1>}>
      {may ? (
        <Tabs
          label="Usage and endpoints"
          value={tab}
          onChange={(next) => navigate({ search: (old) => ({ ...old, tab: next as typeof tab }) })}
          tabs={[
            { value: "usage", text: "Usage", content: <Requests everybody /> },
            { value: "endpoints", text: "Endpoints", content: <Endpoints /> },
          ]}
        />
      ) : (
        <Requests />
      )}
    </Panel>
  );
}

const PERIODS: { value: UsagePeriod; text: string }[] = [
  { value: "hour", text: "The last hour" },
  { value: "day", text: "The last day" },
  { value: "week", text: "The last 7 days" },
  { value: "month", text: "The last 30 days" },
  { value: "quarter", text: "The last 90 days" },
];

/** Requests by endpoint or caller: everybody's for those who may see them, else one's own. */
function Requests({ everybody }: { everybody?: boolean }) {
  const { period = "day", by = "endpoint", user, key } = useSearch({ from: "/usage" });
  const whose = user ?? (everybody ? "all" : undefined);
  const pages = usePages<UsageRow>(["usage", period, by, whose, key], (cursor) =>
    answer(
      api.GET("/api/v1/usage", { params: { query: { period, by, user: whose, key, cursor } } }),
    ),
  );
  const columns = useMemo(() => usageColumns(by), [by]);
  return (
    <>
      <Filter key={`${user} ${key}`} everybody={everybody} />
      <Table
        label="Requests"
        columns={columns}
        rows={pages.rows}
        rowId={(row) => row.endpoint ?? `${row.user?.id} ${row.key_id}`}
        empty={nothing(pages, "No requests in this time.")}
        maxHeight="calc(100dvh - 19rem)"
      />
      <More pages={pages} />
    </>
  );
}

function Filter({ everybody }: { everybody?: boolean }) {
  const search = useSearch({ from: "/usage" });
  const navigate = useNavigate({ from: "/usage" });
  const [user, setUser] = useState(search.user ?? "");
  const [key, setKey] = useState(search.key ?? "");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const given = { user: user.trim() || undefined, key: key.trim() || undefined };
    void navigate({ search: (old) => ({ ...old, ...given }) });
  };
  return (
    <search>
      <form onSubmit={submit} className="flex flex-wrap items-end gap-2 border-b border-line p-3">
        <Select
          label="Time"
          value={search.period ?? "day"}
          onChange={(event) => {
            const period = event.target.value as UsagePeriod;
            void navigate({ search: (old) => ({ ...old, period }) });
          }}
        >
          {PERIODS.map((one) => (
            <option key={one.value} value={one.value}>
              {one.text}
            </option>
          ))}
        </Select>
        <Select
          label="By"
          value={search.by ?? "endpoint"}
          onChange={(event) => {
            const by = event.target.value as UsageBy;
            void navigate({ search: (old) => ({ ...old, by }) });
          }}
        >
          <option value="endpoint">Endpoint</option>
          <option value="caller">Who called</option>
        </Select>
        {everybody && (
          <Field
            label="Person"
            name="user"
            placeholder="id, or everybody"
            value={user}
            onChange={(event) => setUser(event.target.value)}
          />
        )}
        <Field
          label="API key"
          name="key"
          placeholder="id, or all"
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
        <Button type="submit">Show</Button>
      </form>
    </search>
  );
}

/** A time of an answer: tenths where it is short. */
function millis(value: number | null): string {
  if (value === null) return UNKNOWN;
  return `${value < 10 ? value.toFixed(1) : count(Math.round(value))} ms`;
}

function usageColumns(by: UsageBy): Column<UsageRow>[] {
  const first: Column<UsageRow>[] =
    by === "endpoint"
      ? [
          {
            id: "endpoint",
            header: "Endpoint",
            sort: (row) => row.endpoint ?? "",
            cell: (row) => <code className="text-xs break-all">{row.endpoint}</code>,
          },
        ]
      : [
          {
            id: "user",
            header: "Who",
            sort: (row) => row.user?.name ?? "",
            cell: (row) => row.user?.name ?? "nobody signed in",
          },
          {
            id: "key",
            header: "With",
            sort: (row) => row.key_id ?? "",
            cell: (row) =>
              row.key_id === null ? "the page" : <code className="text-xs">{row.key_id}</code>,
          },
        ];
  const number = (
    id: "requests" | "client_errors" | "limited" | "server_errors",
    header: string,
  ): Column<UsageRow> => ({
    id,
    header,
    numeric: true,
    wide: id !== "requests",
    sort: (row) => row[id],
    cell: (row) => count(row[id]),
  });
  return [
    ...first,
    number("requests", "Requests"),
    number("client_errors", "Refused"),
    number("limited", "Too many"),
    number("server_errors", "Failed"),
    {
      id: "p50",
      header: "Half within",
      numeric: true,
      wide: true,
      sort: (row) => row.p50_ms ?? 0,
      cell: (row) => millis(row.p50_ms),
    },
    {
      id: "p99",
      header: "99 % within",
      numeric: true,
      sort: (row) => row.p99_ms ?? 0,
      cell: (row) => millis(row.p99_ms),
    },
    {
      id: "last",
      header: "Last",
      wide: true,
      sort: (row) => row.last_at ?? "",
      cell: (row) => <DateTime at={row.last_at} />,
    },
  ];
}
