import { useState } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary } from "../../api/types";
import { Field } from "../../ui/controls";
import { Decision } from "../decision";

interface RenameAccountProps {
  account: AccountSummary;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Calls an account otherwise. */
export function RenameAccount({ account, returnTo, onClose }: RenameAccountProps) {
  const [name, setName] = useState(account.name);
  return (
    <Decision
      title={`Rename ${account.name}`}
      description="For everybody, at once. The audit log keeps both names."
      act={() =>
        answer(
          api.PATCH("/api/v1/accounts/{id}", {
            params: { path: { id: account.id } },
            body: { name: name.trim() },
          }),
        )
      }
      button="Rename it"
      busy="Renaming…"
      ready={name.trim() !== "" && name.trim() !== account.name}
      refused="The account was not renamed"
      changes={["session", "users"]}
      returnTo={returnTo}
      onClose={onClose}
    >
      {(errorAt) => (
        <Field
          data-first-focus
          label="Name on the desk"
          name="name"
          maxLength={64}
          value={name}
          error={errorAt("name")}
          onChange={(event) => setName(event.target.value)}
        />
      )}
    </Decision>
  );
}
