import { useState } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary } from "../../api/types";
import { Decision } from "../decision";
import { CredentialFields } from "./credential-fields";

interface RenewAccountProps {
  account: AccountSummary;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Replaces what opens an account at its broker. */
export function RenewAccount({ account, returnTo, onClose }: RenewAccountProps) {
  const [keyId, setKeyId] = useState("");
  const [secret, setSecret] = useState("");
  return (
    <Decision
      title={`New credentials for ${account.name}`}
      description="They are tried before the old ones are given up. Open orders stay, nothing is restarted."
      act={() =>
        answer(
          api.PUT("/api/v1/accounts/{id}/credentials", {
            params: { path: { id: account.id } },
            body: { key_id: keyId.trim(), secret: secret.trim() },
          }),
        )
      }
      button="Try them and keep them"
      busy="Asking the broker…"
      ready={keyId.trim() !== "" && secret.trim() !== ""}
      refused="The credentials were not replaced"
      returnTo={returnTo}
      onClose={onClose}
    >
      {(errorAt) => (
        <CredentialFields
          first
          keyId={keyId}
          secret={secret}
          onKeyId={setKeyId}
          onSecret={setSecret}
          errorAt={errorAt}
        />
      )}
    </Decision>
  );
}
