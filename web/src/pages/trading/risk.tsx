import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { LimitInForce, Scope } from "../../api/types";
import { group } from "../../format/decimal";
import { isStepUpNeeded, withStepUp } from "../../live/step-up";
import { Button, Select } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Plus } from "../../ui/icons";
import { Meter } from "../../ui/meter";
import { Empty, Notice, Panel, Tag } from "../../ui/surface";
import { Refusal } from "../refusal";
import { useMay } from "../session";
import { byScope, limitText, type ScopeLimits } from "./limits";
import { SetLimit } from "./set-limit";

/** What is being set: a new limit, or another value of one. */
export type Setting = { scope?: Scope; kind?: string; value?: string; from: HTMLElement | null };

/** Every limit in force: how much of it is used, who set it and when. */
export function Risk() {
  const { scope } = useSearch({ from: "/risk" });
  const navigate = useNavigate({ from: "/risk" });
  const may = useMay("limits.manage");
  const [setting, setSetting] = useState<Setting | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const limits = useQuery({
    queryKey: ["limits"],
    queryFn: () => answer(api.GET("/api/v1/limits")),
    refetchInterval: 2_000,
  });
  const all = byScope(limits.data?.items ?? []);
  const shown = all.filter((one) => scope === undefined || one.scope.scope === scope);
  return (
    <div className="flex flex-col gap-3">
      <Panel
        title={<h1>Risk limits</h1>}
        aside={
          <div className="flex gap-2">
            <Select
              bare
              label="Set on"
              value={scope ?? ""}
              onChange={(event) =>
                navigate({ search: (old) => ({ ...old, scope: event.target.value || undefined }) })
              }
            >
              <option value="">Everything</option>
              {all.map((one) => (
                <option key={one.scope.scope} value={one.scope.scope}>
                  {scopeTitle(one.scope)}
                </option>
              ))}
            </Select>
            {may && (
              <Button
                ref={button}
                look="primary"
                onClick={() => setSetting({ from: button.current })}
              >
                <Plus className="size-3.5" /> Set a limit
              </Button>
            )}
          </div>
        }
      >
        <p className="px-3 py-2 text-muted">
          Every order is checked against all limits that concern it before it is sent; the strictest
          counts. The bar shows how much of a limit is used now.
        </p>
      </Panel>
      {limits.error && !limits.data && (
        <Refusal problem={problemOf(limits.error)} title="The limits could not be loaded" />
      )}
      {limits.data && shown.length === 0 && <Empty>No limits are set here.</Empty>}
      {shown.map((one) => (
        <OneScope key={one.scope.scope} of={one} may={may} onSet={setSetting} />
      ))}
      {setting && limits.data && (
        <SetLimit
          setting={setting}
          kinds={limits.data.kinds}
          returnTo={() => setting.from}
          onClose={() => setSetting(null)}
        />
      )}
    </div>
  );
}

/** A change that is kept until somebody else agrees. */
export function AwaitsApproval() {
  return (
    <Notice tone="warn" title="A second person has to agree">
      The limit stays as it is until then.{" "}
      <Link to="/approvals" className="font-semibold text-accent underline underline-offset-2">
        See what is waiting
      </Link>
    </Notice>
  );
}

function scopeTitle(scope: Scope): string {
  const kind = scope.kind.charAt(0).toUpperCase() + scope.kind.slice(1);
  return scope.kind === "desk" ? "The whole desk" : `${kind} ${scope.name}`;
}

interface OneScopeProps {
  of: ScopeLimits;
  may: boolean;
  onSet(setting: Setting): void;
}

function OneScope({ of, may, onSet }: OneScopeProps) {
  return (
    <Panel title={scopeTitle(of.scope)}>
      <ul className="divide-y divide-line/60">
        {of.limits.map((limit) => (
          <li key={`${limit.kind} ${limit.value}`}>
            <OneLimit limit={limit} may={may} onSet={onSet} />
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function OneLimit({
  limit,
  may,
  onSet,
}: {
  limit: LimitInForce;
  may: boolean;
  onSet(setting: Setting): void;
}) {
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () =>
      withStepUp(() =>
        answer(
          api.DELETE("/api/v1/limits", {
            params: { query: { scope: limit.scope.scope, kind: limit.kind } },
          }),
        ),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ["limits"] }),
  });
  const reset = useMutation({
    mutationFn: () =>
      withStepUp(() =>
        answer(api.POST("/api/v1/limits/drawdown-reset", { body: { scope: limit.scope.scope } })),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ["limits"] }),
  });
  const error = remove.error ?? reset.error;
  const refused = error && !isStepUpNeeded(error) ? problemOf(error) : null;
  return (
    <article className="grid items-center gap-x-6 gap-y-1.5 px-3 py-2.5 md:grid-cols-[minmax(0,1.4fr)_minmax(0,1fr)_minmax(0,0.8fr)_auto]">
      <div>
        <h3 className="font-medium">
          {limit.title} {limit.fixed && <Tag>configuration</Tag>}{" "}
          {limit.symbol && <Tag>{limit.symbol}</Tag>}
        </h3>
        <p className="text-xs text-muted">{limit.explanation}</p>
      </div>
      <div>
        <p className="mb-1 flex justify-between gap-3">
          <span className="text-muted">{limit.used === null ? "" : group(limit.used, 0, 2)}</span>
          <span className="font-semibold">{limitText(limit.kind, limit.value)}</span>
        </p>
        {limit.fraction !== null && (
          <Meter
            label={`${limit.title} used`}
            fraction={limit.fraction}
            text={`${Math.round(limit.fraction * 100)} per cent`}
          />
        )}
      </div>
      <p className="text-xs text-muted">
        set by <span className="text-ink">{limit.set_by.name}</span>
        <br />
        <DateTime at={limit.set_at} />
      </p>
      <div className="flex gap-1.5 md:min-w-36 md:justify-end">
        {may && limit.kind === "drawdown" && (limit.fraction ?? 0) >= 1 && (
          <Button
            small
            onClick={() => {
              if (!reset.isPending) reset.mutate();
            }}
          >
            Trade again
          </Button>
        )}
        {may && (
          <Button
            small
            onClick={(event) =>
              onSet({
                scope: limit.scope,
                kind: limit.kind,
                value: limit.value,
                from: event.currentTarget,
              })
            }
          >
            Change<span className="sr-only"> {limit.title}</span>
          </Button>
        )}
        {may && !limit.fixed && (
          <Button
            small
            look="danger"
            onClick={() => {
              if (!remove.isPending) remove.mutate();
            }}
          >
            Remove<span className="sr-only"> {limit.title}</span>
          </Button>
        )}
      </div>
      {refused && (
        <div className="md:col-span-4">
          <Refusal problem={refused} title="The limit was not changed" />
        </div>
      )}
      {remove.data?.done === false && (
        <div className="md:col-span-4">
          <AwaitsApproval />
        </div>
      )}
    </article>
  );
}
