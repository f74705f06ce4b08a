import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { answer, api } from "../../api/client";
import type { AccountSummary } from "../../api/types";
import { Field } from "../../ui/controls";
import { Notice } from "../../ui/surface";
import { Decision } from "../decision";

interface RemoveAccountProps {
  account: AccountSummary;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Removes an account. Its name is asked for, so that nobody removes the wrong one. */
export function RemoveAccount({ account, returnTo, onClose }: RemoveAccountProps) {
  const [name, setName] = useState("");
  const navigate = useNavigate();
  return (
    <Decision
      title={`Remove ${account.name}?`}
      description="Nobody trades on it from then on, and what opens it is destroyed."
      act={() =>
        answer(
          api.DELETE("/api/v1/accounts/{id}", {
            params: { path: { id: account.id }, query: { confirm_name: name.trim() } },
          }),
        )
      }
      button="Remove the account"
      busy="Removing…"
      look="danger"
      back="Keep it"
      ready={name.trim() !== ""}
      refused="The account was not removed"
      changes={["session", "users"]}
      onDone={() => void navigate({ to: "/accounts", search: { account: undefined } })}
      returnTo={returnTo}
      onClose={onClose}
    >
      {(errorAt) => (
        <>
          <Notice tone="warn" title="What it holds stays at the broker">
            The desk no longer sees it there. Open orders have to be cancelled first. Orders and
            fills stay stored, and the audit log keeps all of it.
          </Notice>
          <Field
            data-first-focus
            label="The account's name, to be sure"
            name="name"
            placeholder={account.name}
            value={name}
            error={errorAt("confirm_name")}
            onChange={(event) => setName(event.target.value)}
          />
        </>
      )}
    </Decision>
  );
}
