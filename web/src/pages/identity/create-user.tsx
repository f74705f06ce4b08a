import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { answer, api, idempotencyKey, problemOf } from "../../api/client";
import type { Role } from "../../api/types";
import { Button, Field } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Notice } from "../../ui/surface";
import { Refusal } from "../refusal";
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
  const client = useQueryClient();
  const [username, setUsername] = useState("");
  const [displayName, setDisplayName] = useState("");
  const [roles, setRoles] = useState<readonly Role[]>(["viewer"]);
  // One key for the whole dialog: a second press creates nobody twice.
  const [key] = useState(idempotencyKey);
  const create = useMutation({
    mutationFn: () =>
      answer(
        api.POST("/api/v1/users", {
          params: { header: { "Idempotency-Key": key } },
          body: {
            username: username.trim(),
            display_name: displayName.trim(),
            roles: [...roles],
          },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ["users"] }),
  });
  const problem = create.error ? problemOf(create.error) : null;
  const error = (field: string) =>
    problem?.errors?.find((one) => one.field === field)?.detail ??
    (problem?.field === field ? problem.detail : null);

  return (
    <Dialog
      open
      onClose={onClose}
      returnTo={returnTo}
      title={create.data ? `${create.data.user.display_name} is invited` : "New user"}
      description={
        create.data
          ? "Give them this link. It works once and is not shown again."
          : "They choose their own password through a link that works once."
      }
    >
      {create.data ? (
        <>
          {create.data.invite_url ? (
            <InviteLink url={create.data.invite_url} expiresAt={create.data.invite_expires_at} />
          ) : (
            <Notice tone="warn" title="The link was shown before">
              They exist already. Open them in the list and make a new link.
            </Notice>
          )}
          <Button look="primary" className="mt-4 w-full" onClick={onClose}>
            Done
          </Button>
        </>
      ) : (
        <form
          noValidate
          className="flex flex-col gap-3"
          onSubmit={(event) => {
            event.preventDefault();
            if (!create.isPending) create.mutate();
          }}
        >
          <Field
            label="User name"
            name="username"
            data-first-focus
            autoCapitalize="none"
            spellCheck={false}
            value={username}
            onChange={(event) => setUsername(event.target.value)}
            error={error("username")}
          />
          <Field
            label="Display name"
            name="display_name"
            value={displayName}
            onChange={(event) => setDisplayName(event.target.value)}
            error={error("display_name")}
          />
          <RoleChoice chosen={roles} onChange={setRoles} />
          {problem && <Refusal problem={problem} title="The user was not created" />}
          <Button
            type="submit"
            look="primary"
            disabled={create.isPending || !username.trim() || !displayName.trim()}
          >
            {create.isPending ? "Creating…" : "Create user"}
          </Button>
        </form>
      )}
    </Dialog>
  );
}
