import { useState } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary, ApiKey, Permission } from "../../api/types";
import { dateTime } from "../../format/time";
import { CheckBox, Field, Select } from "../../ui/controls";
import { Copied } from "../../ui/copied";
import { Notice } from "../../ui/surface";
import { Decision } from "../decision";
import { useSession } from "../session";

/** What a program may be allowed, with what it is called; the desk refuses every other one. */
const SCOPES: readonly (readonly [Permission, string])[] = [
  ["market.view", "See prices"],
  ["accounts.view", "See balances and positions"],
  ["orders.view", "See orders and fills"],
  ["orders.place", "Place orders"],
  ["orders.cancel", "Cancel orders"],
  ["kill.engage", "Pull the kill switch"],
];

/** Seeing changes nothing: what more it may do, one chooses. */
const AT_FIRST: readonly Permission[] = ["market.view", "accounts.view", "orders.view"];

const DAY_MS = 86_400_000;

interface CreateKeyProps {
  /** The account that is proposed. */
  account: AccountSummary;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Makes a key, and shows its secret this once. */
export function CreateKey({ account, returnTo, onClose }: CreateKeyProps) {
  const { accounts, permissions } = useSession();
  const [name, setName] = useState("");
  const [accountId, setAccountId] = useState(account.id);
  const [scopes, setScopes] = useState<readonly Permission[]>(
    AT_FIRST.filter((one) => permissions.includes(one)),
  );
  const [networks, setNetworks] = useState("");
  const [days, setDays] = useState("90");
  // Sent again, it must be the same question.
  const [begun] = useState(Date.now);
  return (
    <Decision
      title="New API key"
      description="For one program, on one account. You are asked for your second factor."
      act={(key) =>
        answer(
          api.POST("/api/v1/keys", {
            params: { header: { "Idempotency-Key": key } },
            body: {
              name: name.trim(),
              account_id: accountId,
              scopes: [...scopes],
              networks: networks.split(/[\s,]+/).filter((one) => one !== ""),
              expires_at:
                days === "" ? null : new Date(begun + Number(days) * DAY_MS).toISOString(),
            },
          }),
        )
      }
      button="Make the key"
      busy="Making…"
      ready={name.trim() !== "" && scopes.length > 0}
      refused="The key was not made"
      changes={["keys"]}
      outcome={({ key, secret }) => ({
        title: `${key.name} is ready`,
        description: "Copy both now: the secret is kept nowhere, and not shown again.",
        content: <Secret apiKey={key} secret={secret} />,
      })}
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
            placeholder="Rebalancer on the server in the cellar"
            value={name}
            error={errorAt("name")}
            onChange={(event) => setName(event.target.value)}
          />
          <div className="grid grid-cols-2 gap-3">
            <Select
              label="Account"
              value={accountId}
              onChange={(event) => setAccountId(event.target.value)}
            >
              {accounts.map((one) => (
                <option key={one.id} value={one.id}>
                  {one.name}
                  {one.mode === "live" && " (real money)"}
                </option>
              ))}
            </Select>
            <Select label="Ends" value={days} onChange={(event) => setDays(event.target.value)}>
              <option value="1">in a day</option>
              <option value="30">in 30 days</option>
              <option value="90">in 90 days</option>
              <option value="365">in a year</option>
              <option value="">never</option>
            </Select>
          </div>
          <fieldset>
            <legend className="mb-1 text-xs text-muted">It may</legend>
            {SCOPES.map(([scope, title]) => (
              <CheckBox
                key={scope}
                checked={scopes.includes(scope)}
                disabled={!permissions.includes(scope)}
                onChange={(on) =>
                  setScopes(on ? [...scopes, scope] : scopes.filter((one) => one !== scope))
                }
              >
                {title} <code className="text-2xs text-muted">{scope}</code>
              </CheckBox>
            ))}
          </fieldset>
          <Field
            label="From these addresses only"
            unit="optional"
            name="networks"
            placeholder="192.0.2.7, 198.51.100.0/24"
            spellCheck={false}
            value={networks}
            error={errorAt("networks")}
            onChange={(event) => setNetworks(event.target.value)}
          />
        </>
      )}
    </Decision>
  );
}

/** Both halves of a key. */
function Secret({ apiKey, secret }: { apiKey: ApiKey; secret: string }) {
  return (
    <div className="flex flex-col gap-3">
      <div>
        <p className="mb-1 text-xs text-muted">Key id</p>
        <Copied label="Key id" text={apiKey.id} />
      </div>
      <div>
        <p className="mb-1 text-xs text-muted">Secret</p>
        <Copied label="Secret" text={secret} />
      </div>
      <Notice tone="warn" title="Whoever has both acts in your name">
        {apiKey.expires_at === null ? "It never ends." : `It ends ${dateTime(apiKey.expires_at)}.`}{" "}
        Revoke it here the moment it may be in other hands.
      </Notice>
    </div>
  );
}
