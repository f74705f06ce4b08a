import { useState } from "react";
import { answer, api } from "../../api/client";
import type { Endpoint } from "../../api/types";
import { CheckBox, Field } from "../../ui/controls";
import { Decision } from "../decision";

interface ChangeEndpointProps {
  endpoint: Endpoint;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Switches an endpoint off or on, and says how often it answers at most. The desk asks for a second factor. */
export function ChangeEndpoint({ endpoint, returnTo, onClose }: ChangeEndpointProps) {
  const [on, setOn] = useState(endpoint.on);
  const [limit, setLimit] = useState(endpoint.per_minute?.toString() ?? "");
  const [reason, setReason] = useState("");
  const per_minute = limit.trim() === "" ? null : Number(limit);
  const isNumber = per_minute === null || (Number.isInteger(per_minute) && per_minute > 0);
  return (
    <Decision
      title={`Change ${endpoint.id}`}
      description="For everybody, at once, until it is changed again."
      act={(key) =>
        answer(
          api.PUT("/api/v1/endpoints", {
            params: { header: { "Idempotency-Key": key } },
            body: { id: endpoint.id, on, per_minute, reason: reason.trim() },
          }),
        )
      }
      button="Change the endpoint"
      busy="Changing…"
      look={on ? "primary" : "danger"}
      ready={isNumber && reason.trim() !== ""}
      refused="The endpoint was not changed"
      changes={["endpoints"]}
      returnTo={returnTo}
      onClose={onClose}
    >
      {(errorAt) => (
        <>
          <CheckBox checked={on} onChange={setOn} hint="Off, it refuses every request.">
            It answers
          </CheckBox>
          <Field
            label="Most requests"
            unit="a minute"
            inputMode="numeric"
            name="per_minute"
            value={limit}
            hint="Of everybody together. Empty: as many as the budgets of people and keys allow."
            error={isNumber ? errorAt("per_minute") : "It is a whole number above zero, or empty."}
            onChange={(event) => setLimit(event.target.value)}
          />
          <Field
            label="Why"
            name="reason"
            value={reason}
            hint="It goes to the audit log with your name."
            error={errorAt("reason")}
            onChange={(event) => setReason(event.target.value)}
          />
        </>
      )}
    </Decision>
  );
}
