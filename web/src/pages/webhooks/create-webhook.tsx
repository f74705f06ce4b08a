import { useState } from "react";
import { answer, api } from "../../api/client";
import type { EventKind, Webhook } from "../../api/types";
import { CheckBox, Field, Select } from "../../ui/controls";
import { Copied } from "../../ui/copied";
import { Notice } from "../../ui/surface";
import { Decision } from "../decision";
import { useSession } from "../session";
import { KINDS } from "./kinds";

interface CreateWebhookProps {
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Makes a webhook, and shows its secret this once. */
export function CreateWebhook({ returnTo, onClose }: CreateWebhookProps) {
  const { accounts } = useSession();
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [accountId, setAccountId] = useState("");
  const [kinds, setKinds] = useState<readonly EventKind[]>(KINDS.map(([kind]) => kind));
  return (
    <Decision
      title="New webhook"
      description="It is told what you may see, from now on. You are asked for your second factor."
      act={(key) =>
        answer(
          api.POST("/api/v1/webhooks", {
            params: { header: { "Idempotency-Key": key } },
            body: {
              name: name.trim(),
              url: url.trim(),
              account_id: accountId || null,
              // Without a list it is told of kinds to come as well.
              kinds: kinds.length === KINDS.length ? [] : [...kinds],
            },
          }),
        )
      }
      button="Make the webhook"
      busy="Making…"
      ready={name.trim() !== "" && url.trim() !== "" && kinds.length > 0}
      refused="The webhook was not made"
      changes={["webhooks"]}
      outcome={({ webhook, secret }) => secretOutcome(webhook, secret)}
      returnTo={returnTo}
      onClose={onClose}
    >
      {(errorAt) => (
        <>
          <Field
            data-first-focus
            label="Name"
            name="name"
            maxLength={100}
            placeholder="Fills to the back office"
            value={name}
            error={errorAt("name")}
            onChange={(event) => setName(event.target.value)}
          />
          <Field
            label="URL"
            name="url"
            type="url"
            placeholder="https://hooks.example/stockade"
            hint="https, to a public address"
            spellCheck={false}
            value={url}
            error={errorAt("url")}
            onChange={(event) => setUrl(event.target.value)}
          />
          <Select
            label="About"
            value={accountId}
            onChange={(event) => setAccountId(event.target.value)}
          >
            <option value="">every account that I may see</option>
            {accounts.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
                {one.mode === "live" && " (real money)"}
              </option>
            ))}
          </Select>
          <fieldset>
            <legend className="mb-1 text-xs text-muted">It is told that</legend>
            {KINDS.map(([kind, title]) => (
              <CheckBox
                key={kind}
                checked={kinds.includes(kind)}
                onChange={(on) =>
                  setKinds(on ? [...kinds, kind] : kinds.filter((one) => one !== kind))
                }
              >
                {title} <code className="text-2xs text-muted">{kind}</code>
              </CheckBox>
            ))}
          </fieldset>
        </>
      )}
    </Decision>
  );
}

/** What is shown when a webhook has a new secret. */
export function secretOutcome(webhook: Webhook, secret: string) {
  return {
    title: `The secret of ${webhook.name}`,
    description: "Copy it now: it is kept sealed, and not shown again.",
    content: (
      <div className="flex flex-col gap-3">
        <Copied label="Secret" text={secret} />
        <Notice tone="calm" title="Check every message with it">
          Messages are signed as Standard Webhooks says, so its libraries check them. Whoever has
          the secret can make messages that look like the desk's.
        </Notice>
      </div>
    ),
  };
}
