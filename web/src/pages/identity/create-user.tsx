import { useState } from "react";
import { answer, api } from "../../api/client";
import type { Role } from "../../api/types";
import { Field } from "../../ui/controls";
import { Notice } from "../../ui/surface";
import { Decision } from "../decision";
import { InviteLink } from "./invite-link";
import { RoleChoice } from "./role-choice";

/** Creates a person and shows the one link by which they choose their password. */
export function CreateUser({
  onClose,
  returnTo,
}: {
  onClose(): void;
  returnTo(): HTMLElement | null;
}) {
  const [username, setUsername] = useState("");
  const [displayName, setDisplayName] = useState("");
  const [roles, setRoles] = useState<readonly Role[]>(["viewer"]);
  return (
    <Decision
      title="New user"
      description="They choose their own password through a link that works once."
      act={(key) =>
        answer(
          api.POST("/api/v1/users", {
            params: { header: { "Idempotency-Key": key } },
            body: {
              username: username.trim(),
              display_name: displayName.trim(),
              roles: [...roles],
            },
          }),
        )
      }
      button="Create user"
      busy="Creating…"
      ready={username.trim() !== "" && displayName.trim() !== ""}
      refused="The user was not created"
      changes={["users"]}
      outcome={(created) => ({
        title: `${created.user.display_name} is invited`,
        description: "Give them this link. It works once and is not shown again.",
        content: created.invite_url ? (
          <InviteLink url={created.invite_url} expiresAt={created.invite_expires_at} />
        ) : (
          <Notice tone="warn" title="The link was shown before">
            They exist already. Open them in the list and make a new link.
          </Notice>
        ),
      })}
      returnTo={returnTo}
      onClose={onClose}
    >
      {(errorAt) => (
        <>
          <Field
            label="User name"
            name="username"
            data-first-focus
            autoCapitalize="none"
            spellCheck={false}
            value={username}
            onChange={(event) => setUsername(event.target.value)}
            error={errorAt("username")}
          />
          <Field
            label="Display name"
            name="display_name"
            value={displayName}
            onChange={(event) => setDisplayName(event.target.value)}
            error={errorAt("display_name")}
          />
          <RoleChoice chosen={roles} onChange={setRoles} />
        </>
      )}
    </Decision>
  );
}
