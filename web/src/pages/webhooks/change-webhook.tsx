import { useState } from "react";
import { answer, api } from "../../api/client";
import type { Webhook } from "../../api/types";
import { Select } from "../../ui/controls";
import { Decision } from "../decision";
import { secretOutcome } from "./create-webhook";

interface Props {
  webhook: Webhook;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Removes a webhook, its secret and its log. */
export function DeleteWebhook({ webhook: { id, name }, returnTo, onClose }: Props) {
  return (
    <Decision
      title={`Delete ${name}?`}
      description="Nothing more is sent. Its secret and the log of what it was told are removed."
      act={(key) =>
        answer(
          api.DELETE("/api/v1/webhooks/{id}", {
            params: { path: { id }, header: { "Idempotency-Key": key } },
          }),
        )
      }
      button="Delete the webhook"
      busy="Deleting…"
      look="danger"
      back="Keep it"
      refused="The webhook was not deleted"
      changes={["webhooks"]}
      returnTo={returnTo}
      onClose={onClose}
    >
      <p>To pause it, switch it off instead.</p>
    </Decision>
  );
}

/** Gives a webhook another secret, and shows it this once. */
export function RotateSecret({ webhook: { id, name }, returnTo, onClose }: Props) {
  const [hours, setHours] = useState("24");
  return (
    <Decision
      title={`A new secret for ${name}`}
      description="For a while messages carry both signatures, so that the receiver can change in peace."
      act={(key) =>
        answer(
          api.POST("/api/v1/webhooks/{id}/rotate", {
            params: { path: { id }, header: { "Idempotency-Key": key } },
            body: { overlap_hours: Number(hours) },
          }),
        )
      }
      button="Make a new secret"
      busy="Making…"
      refused="The secret was not replaced"
      changes={["webhooks"]}
      outcome={({ webhook, secret }) => secretOutcome(webhook, secret)}
      returnTo={returnTo}
      onClose={onClose}
    >
      <Select
        label="The former secret signs too"
        value={hours}
        onChange={(event) => setHours(event.target.value)}
      >
        <option value="0">not any more: it is in other hands</option>
        <option value="1">for an hour</option>
        <option value="24">for a day</option>
        <option value="168">for a week</option>
      </Select>
    </Decision>
  );
}
