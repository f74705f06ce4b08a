import { useMutation } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useMemo, useRef, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { AuditRow, AuditVerification } from "../../api/types";
import { count } from "../../format/quantity";
import { Button, INPUT } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Dialog } from "../../ui/dialog";
import { Search, Shield } from "../../ui/icons";
import { Fact, Notice, Panel, Tag, type Tone } from "../../ui/surface";
import { type Column, Table } from "../../ui/table";
import { More, nothing, usePages } from "../paging";
import { Refusal } from "../refusal";
import { useMay } from "../session";

const OUTCOME: Record<AuditRow["outcome"], Tone> = { done: "good", refused: "warn", failed: "bad" };

/** Who did what, newest first, and whether anybody has tampered with it. */
export function Audit() {
  const { search } = useSearch({ from: "/audit" });
  const pages = usePages<AuditRow>(["audit", search], (cursor) =>
    answer(api.GET("/api/v1/audit", { params: { query: { search, cursor, limit: 100 } } })),
  );
  const [opened, setOpened] = useState<AuditRow | null>(null);
  const opener = useRef<HTMLElement | null>(null);
  const columns = useMemo(
    () =>
      auditColumns((row, from) => {
        opener.current = from;
        setOpened(row);
      }),
    [],
  );
  return (
    <Panel title={<h1>Audit log</h1>} aside={<SearchBox key={search} />}>
      {useMay("audit.verify") && <Verify />}
      <Table
        label="Audit log"
        columns={columns}
        rows={pages.rows}
        rowId={(row) => String(row.seq)}
        empty={nothing(pages, "Nothing found.")}
        maxHeight="calc(100dvh - 19rem)"
      />
      <More pages={pages} />
      {opened && (
        <Detail row={opened} returnTo={() => opener.current} onClose={() => setOpened(null)} />
      )}
    </Panel>
  );
}

function SearchBox() {
  const { search = "" } = useSearch({ from: "/audit" });
  const navigate = useNavigate({ from: "/audit" });
  const [text, setText] = useState(search);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void navigate({ search: (old) => ({ ...old, search: text.trim() || undefined }) });
  };
  return (
    <search>
      <form onSubmit={submit} className="flex gap-2">
        <input
          type="search"
          aria-label="Search the audit log"
          placeholder="Act, resource, address…"
          value={text}
          onChange={(event) => setText(event.target.value)}
          className={`${INPUT} w-full sm:w-64`}
        />
        <Button type="submit">
          <Search /> Search
        </Button>
      </form>
    </search>
  );
}

function Verify() {
  const verify = useMutation({ mutationFn: () => answer(api.POST("/api/v1/audit/verify")) });
  return (
    <div className="flex flex-wrap items-start gap-3 border-b border-line p-3">
      <Button onClick={() => verify.mutate()} disabled={verify.isPending}>
        <Shield /> {verify.isPending ? "Verifying…" : "Verify"}
      </Button>
      <div className="min-w-0 flex-1 basis-64">
        {verify.data && <Verdict verdict={verify.data} />}
        {verify.error && (
          <Refusal problem={problemOf(verify.error)} title="The log could not be verified" />
        )}
        {verify.isIdle && (
          <p className="py-2 text-muted">
            Computes the hash chain from the first row to the last and compares its signed heads.
          </p>
        )}
      </div>
    </div>
  );
}

function Verdict({ verdict }: { verdict: AuditVerification }) {
  const numbers = `${count(verdict.rows)} rows, ${count(verdict.signed_heads)} signed heads, ${count(verdict.took_ms)} ms`;
  if (!verdict.ok)
    return (
      <Notice
        tone="bad"
        urgent
        title={
          verdict.problem
            ? `Row ${verdict.problem.seq} is not as it was written`
            : "The chain is broken"
        }
      >
        <p>{verdict.problem?.detail}</p>
        <p className="text-xs text-muted">
          {verdict.problem?.kind} · {numbers}
        </p>
      </Notice>
    );
  return (
    <Notice tone="good" title="The log is unaltered">
      <p>{numbers}</p>
      <p className="font-mono text-2xs text-muted">
        head {verdict.head_seq} {verdict.head_hash}
      </p>
    </Notice>
  );
}

function auditColumns(open: (row: AuditRow, from: HTMLElement) => void): Column<AuditRow>[] {
  return [
    {
      id: "seq",
      header: "Row",
      cell: (row) => (
        <button
          type="button"
          aria-label={`Row ${row.seq}, ${row.act}`}
          className="min-h-8 min-w-8 text-left text-accent underline-offset-2 hover:underline"
          onClick={(event) => open(row, event.currentTarget)}
        >
          {row.seq}
        </button>
      ),
    },
    {
      id: "at",
      header: "At",
      cell: (row) => <DateTime at={row.at} />,
    },
    { id: "actor", header: "Who", cell: (row) => row.actor.name || row.actor.kind },
    { id: "act", header: "Act", cell: (row) => <code className="text-xs">{row.act}</code> },
    {
      id: "resource",
      header: "On",
      wide: true,
      cell: (row) => <code className="text-2xs text-muted">{row.resource ?? "–"}</code>,
    },
    { id: "address", header: "From", wide: true, cell: (row) => row.address ?? "–" },
    {
      id: "outcome",
      header: "Outcome",
      cell: (row) => <Tag tone={OUTCOME[row.outcome]}>{row.outcome}</Tag>,
    },
  ];
}

function Detail({
  row,
  returnTo,
  onClose,
}: {
  row: AuditRow;
  returnTo(): HTMLElement | null;
  onClose(): void;
}) {
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      returnTo={returnTo}
      title={`Row ${row.seq}`}
      description={`${row.act}, ${row.outcome}`}
    >
      <dl className="divide-y divide-line/60">
        <Fact name="At">{row.at}</Fact>
        <Fact name="Who">
          {row.actor.name || "–"} ({row.actor.kind})
        </Fact>
        <Fact name="On">{row.resource ?? "–"}</Fact>
        <Fact name="From">{row.address ?? "–"}</Fact>
        <Fact name="Request">{row.request_id ?? "–"}</Fact>
        <Fact name="Hash">
          <code className="text-2xs">{row.hash}</code>
        </Fact>
      </dl>
      <h3 className="mt-4 mb-1 text-xs font-semibold text-muted">Detail</h3>
      <pre className="overflow-x-auto rounded-md border border-line bg-ground p-3 font-mono text-xs">
        {JSON.stringify(row.detail, null, 2)}
      </pre>
    </Dialog>
  );
}
