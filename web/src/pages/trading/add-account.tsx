import { useState } from "react";
import { answer, api } from "../../api/client";
import type { Mode } from "../../api/types";
import { Choice, Field, Select } from "../../ui/controls";
import { Notice } from "../../ui/surface";
import { Decision } from "../decision";
import { CredentialFields } from "./credential-fields";

interface AddAccountProps {
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Adds an account at a broker. Nothing is chosen in advance that could mean real money. */
export function AddAccount({ returnTo, onClose }: AddAccountProps) {
  const [broker, setBroker] = useState("alpaca");
  const [name, setName] = useState("");
  const [mode, setMode] = useState<Mode>("paper");
  const [keyId, setKeyId] = useState("");
  const [secret, setSecret] = useState("");
  const [url, setUrl] = useState("");
  // The desk's own venue needs no key, and has no real money.
  const own = broker === "paper";
  return (
    <Decision
      title="Add an account"
      description="It is tried at the broker before anything is kept, and trades at once."
      act={() =>
        answer(
          api.POST("/api/v1/accounts", {
            body: own
              ? { name: name.trim(), broker, mode: "paper" }
              : {
                  name: name.trim(),
                  broker,
                  mode,
                  key_id: keyId.trim(),
                  secret: secret.trim(),
                  ...(url.trim() !== "" && { url: url.trim() }),
                },
          }),
        )
      }
      button="Try it and add it"
      busy="Asking the broker…"
      ready={name.trim() !== "" && (own || (keyId.trim() !== "" && secret.trim() !== ""))}
      refused="The account was not added"
      changes={["session"]}
      returnTo={returnTo}
      onClose={onClose}
    >
      {(errorAt) => (
        <>
          <Field
            data-first-focus
            label="Name on the desk"
            name="name"
            maxLength={64}
            placeholder="Alpaca, growth"
            value={name}
            error={errorAt("name")}
            onChange={(event) => setName(event.target.value)}
          />
          <Select label="Broker" value={broker} onChange={(event) => setBroker(event.target.value)}>
            <option value="alpaca">Alpaca</option>
            <option value="paper">Paper venue of this desk</option>
          </Select>
          {!own && (
            <>
              <Choice<Mode>
                label="Money"
                value={mode}
                options={[
                  { value: "paper", text: "Paper" },
                  { value: "live", text: "Real money", look: "bg-sell text-on-trade" },
                ]}
                onChange={setMode}
              />
              {mode === "live" && (
                <Notice tone="warn" title="Orders on it will cost and earn real money">
                  Not before somebody switches real money on for the account, and grants it.
                </Notice>
              )}
              <CredentialFields
                keyId={keyId}
                secret={secret}
                onKeyId={setKeyId}
                onSecret={setSecret}
                errorAt={errorAt}
              />
              <Field
                label="Address"
                unit="only if not Alpaca's own"
                name="url"
                inputMode="url"
                placeholder="https://desk.example/alpaca"
                spellCheck={false}
                value={url}
                error={errorAt("url")}
                onChange={(event) => setUrl(event.target.value)}
              />
            </>
          )}
        </>
      )}
    </Decision>
  );
}
