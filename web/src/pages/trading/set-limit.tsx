import { useState } from "react";
import { answer, api } from "../../api/client";
import type { LimitKind } from "../../api/types";
import { Field, Select } from "../../ui/controls";
import { Decision } from "../decision";
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
  const scopes = useScopes(true);
  const [scope, setScope] = useState(setting.scope?.scope ?? scopes[0]?.scope ?? "desk");
  const [kind, setKind] = useState(setting.kind ?? kinds[0]?.kind ?? "");
  const [value, setValue] = useState(setting.value ?? "");
  const [waits, setWaits] = useState(false);
  const chosen = kinds.find((one) => one.kind === kind);
  const given = value.trim() || (chosen && isSwitch(chosen) ? "forbidden" : "");
  const fixed = setting.kind !== undefined;
  const unlisted = scopes.some((one) => one.scope === setting.scope?.scope) ? null : setting.scope;
  return (
    <Decision
      title={fixed ? "Change a limit" : "Set a limit"}
      description="A stricter one holds at once. A looser one needs your second factor."
      act={() => answer(api.PUT("/api/v1/limits", { body: { scope, kind, value: given } }))}
      button="Set the limit"
      busy="Setting…"
      ready={given !== "" && isScope(scope)}
      refused="The limit was not set"
      changes={["limits"]}
      onDone={(change) => (change.done ? onClose() : setWaits(true))}
      returnTo={returnTo}
      onClose={onClose}
    >
      {(errorAt) => (
        <>
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
              error={errorAt("value")}
              onChange={(event) => setValue(event.target.value)}
            />
          )}
          {waits && <AwaitsApproval />}
        </>
      )}
    </Decision>
  );
}
