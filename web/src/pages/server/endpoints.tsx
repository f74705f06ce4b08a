import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { Endpoint } from "../../api/types";
import { count } from "../../format/quantity";
import { Button } from "../../ui/controls";
import { Tag } from "../../ui/surface";
import { type Column, Table } from "../../ui/table";
import { Refusal } from "../refusal";
import { useMay } from "../session";
import { ChangeEndpoint } from "./change-endpoint";

/** What is open on top of the page, and where the focus goes after it. */
type Open = { endpoint: Endpoint; from: HTMLElement } | null;

/** Every endpoint: whether it answers, how often at most, and who said so. */
export function Endpoints() {
  const may = useMay("api.manage");
  const endpoints = useQuery({
    queryKey: ["endpoints"],
    queryFn: () => answer(api.GET("/api/v1/endpoints")),
  });
  const [open, setOpen] = useState<Open>(null);
  const columns = useMemo(() => endpointColumns(may, setOpen), [may]);
  if (endpoints.error && !endpoints.data)
    return (
      <div className="p-3">
        <Refusal problem={problemOf(endpoints.error)} title="The endpoints could not be loaded" />
      </div>
    );
  return (
    <>
      <p className="border-b border-line px-3 py-2 text-muted">
        One that is switched off answers nobody, this page included. Cancels, kill switches and
        signing in always answer.
      </p>
      <Table
        label="Endpoints"
        columns={columns}
        rows={endpoints.data?.items ?? []}
        rowId={(endpoint) => endpoint.id}
        empty="Loading…"
        maxHeight="calc(100dvh - 16rem)"
      />
      {open && (
        <ChangeEndpoint
          endpoint={open.endpoint}
          returnTo={() => open.from}
          onClose={() => setOpen(null)}
        />
      )}
    </>
  );
}

function endpointColumns(may: boolean, open: (what: Open) => void): Column<Endpoint>[] {
  const columns: Column<Endpoint>[] = [
    {
      id: "id",
      header: "Endpoint",
      sort: (endpoint) => endpoint.id,
      cell: (endpoint) => (
        <>
          <code className="text-xs break-all">{endpoint.id}</code>{" "}
          {endpoint.deprecation !== null && <Tag tone="warn">deprecated</Tag>}
        </>
      ),
    },
    { id: "needs", header: "For", wide: true, cell: (endpoint) => endpoint.needs },
    {
      id: "on",
      header: "Answers",
      sort: (endpoint) => (endpoint.essential ? 2 : Number(endpoint.on)),
      cell: (endpoint) => {
        if (endpoint.essential) return "always";
        return endpoint.on ? <Tag tone="good">on</Tag> : <Tag tone="bad">off</Tag>;
      },
    },
    {
      id: "per_minute",
      header: "A minute",
      numeric: true,
      wide: true,
      sort: (endpoint) => endpoint.per_minute ?? 0,
      cell: (endpoint) => (endpoint.per_minute === null ? "–" : count(endpoint.per_minute)),
    },
    {
      id: "reason",
      header: "Why",
      wide: true,
      cell: (endpoint) =>
        endpoint.reason === null ? "" : `${endpoint.reason} (${endpoint.changed_by?.name ?? "?"})`,
    },
  ];
  if (may)
    columns.push({
      id: "change",
      header: "",
      cell: (endpoint) =>
        !endpoint.essential && (
          <Button
            small
            aria-label={`Change ${endpoint.id}`}
            onClick={(event) => open({ endpoint, from: event.currentTarget })}
          >
            Change
          </Button>
        ),
    });
  return columns;
}
