import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { LimitKind } from "../../api/types";
import { isStepUpNeeded, withStepUp } from "../../live/step-up";
import { Button, Field, Select } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Refusal } from "../refusal";
import { isSwitch } from "./limits";
import { AwaitsApproval, type Setting } from "./risk";
import { isScope, ScopeSelect, useScopes } from "./scopes";

interface SetLimitProps {
  setting: Setting;
  kinds: readonly LimitKind[];
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Sets a limit. To loosen one, the desk asks for a second factor, and perhaps for a second person. */
export function SetLimit({ setting, kinds, returnTo, onClose }: SetLimitProps) {
  const client = useQueryClient();
  const form = useId();
  const scopes = useScopes(true);
  const [scope, setScope] = useState(setting.scope?.scope ?? scopes[0]?.scope ?? "desk");
  const [kind, setKind] = useState(setting.kind ?? kinds[0]?.kind ?? "");
  const [value, setValue] = useState(setting.value ?? "");
  const chosen = kinds.find((one) => one.kind === kind);
  const given = value.trim() || (chosen && isSwitch(chosen) ? "forbidden" : "");
  const ready = given !== "" && isScope(scope);
  const set = useMutation({
    mutationFn: () =>
      withStepUp(() => answer(api.PUT("/api/v1/limits", { body: { scope, kind, value: given } }))),
    onSuccess: (change) => {
      void client.invalidateQueries({ queryKey: ["limits"] });
      if (change.done) onClose();
    },
  });
  const problem = set.error && !isStepUpNeeded(set.error) ? problemOf(set.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready && !set.isPending) set.mutate();
  };
  const fixed = setting.kind !== undefined;
  const unlisted = scopes.some((one) => one.scope === setting.scope?.scope) ? null : setting.scope;
  return (
    <Dialog
      open
      onClose={onClose}
      returnTo={returnTo}
      title={fixed ? "Change a limit" : "Set a limit"}
      description="A stricter one holds at once. A looser one needs your second factor."
      footer={
        <>
          <Button className="flex-1" onClick={onClose}>
            Back
          </Button>
          <Button type="submit" form={form} look="primary" className="flex-[2]" disabled={!ready}>
            {set.isPending ? "Setting…" : "Set the limit"}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
        <ScopeSelect
          label="Set on"
          value={scope}
          scopes={unlisted ? [...scopes, { scope, text: unlisted.name }] : scopes}
          fixed={fixed}
          onChange={setScope}
        />
        <Select
          label="Limit"
          value={kind}
          disabled={fixed}
          onChange={(event) => {
            setKind(event.target.value);
            setValue("");
          }}
        >
          {kinds.map((one) => (
            <option key={one.kind} value={one.kind}>
              {one.title}
            </option>
          ))}
        </Select>
        {chosen && <p className="text-xs text-muted">{chosen.explanation}</p>}
        {chosen && isSwitch(chosen) ? (
          <Select label="Value" value={given} onChange={(event) => setValue(event.target.value)}>
            <option value="forbidden">Forbidden</option>
            <option value="allowed">Allowed</option>
          </Select>
        ) : (
          <Field
            data-first-focus
            label="Value"
            name="value"
            value={value}
            hint={chosen && `It is ${chosen.allowed}.`}
            error={problem?.field === "value" ? problem.detail : null}
            onChange={(event) => setValue(event.target.value)}
          />
        )}
        {set.data?.done === false && <AwaitsApproval />}
        {problem && <Refusal problem={problem} title="The limit was not set" />}
      </form>
    </Dialog>
  );
}
