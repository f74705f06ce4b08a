import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { answer, api, idempotencyKey, problemOf } from "../../api/client";
import type { Access, Role, User } from "../../api/types";
import { dateTime } from "../../format/time";
import { isStepUpNeeded, withStepUp } from "../../live/step-up";
import { Button, CheckBox, Select } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Refusal } from "../refusal";
import { useMay, useSession } from "../session";
import { InviteLink } from "./invite-link";
import { RoleChoice } from "./role-choice";

interface EditUserProps {
  user: User;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** One person: roles, accounts, a new link, and the switch that locks them out. */
export function EditUser({ user, returnTo, onClose }: EditUserProps) {
  const client = useQueryClient();
  const may = {
    manage: useMay("users.manage"),
    roles: useMay("roles.assign"),
    grants: useMay("grants.manage"),
  };
  const self = useSession().user.id === user.id;
  const [roles, setRoles] = useState<readonly Role[]>(user.roles);
  const refresh = () => client.invalidateQueries({ queryKey: ["users"] });
  const header = () => ({ "Idempotency-Key": idempotencyKey() });
  const path = { id: user.id };

  const change = useMutation({
    mutationFn: (body: { status?: "active" | "disabled"; roles?: Role[] }) =>
      answer(api.PATCH("/api/v1/users/{id}", { params: { path, header: header() }, body })),
    onSuccess: refresh,
  });
  const grant = useMutation({
    mutationFn: ({ account_id, access }: { account_id: string; access: Access | "" }) => {
      const params = { path: { ...path, account_id }, header: header() };
      return access === ""
        ? answer(api.DELETE("/api/v1/users/{id}/grants/{account_id}", { params }))
        : answer(api.PUT("/api/v1/users/{id}/grants/{account_id}", { params, body: { access } }));
    },
    onSuccess: refresh,
  });
  const live = useMutation({
    mutationFn: ({ account_id, on }: { account_id: string; on: boolean }) => {
      const params = { path: { ...path, account_id }, header: header() };
      return withStepUp(() =>
        on
          ? answer(api.PUT("/api/v1/users/{id}/grants/{account_id}/live", { params }))
          : answer(api.DELETE("/api/v1/users/{id}/grants/{account_id}/live", { params })),
      );
    },
    onSuccess: refresh,
  });
  const invite = useMutation({
    mutationFn: () =>
      answer(api.POST("/api/v1/users/{id}/invite", { params: { path, header: header() } })),
    onSuccess: refresh,
  });

  const problem = [change, grant, live, invite]
    .map((one) => one.error)
    .find((error) => error && !isStepUpNeeded(error));
  const rolesChanged = [...roles].sort().join() !== [...user.roles].sort().join();
  const disabled = user.status === "disabled";

  return (
    <Dialog
      open
      wide
      onClose={onClose}
      returnTo={returnTo}
      title={user.display_name}
      description={`${user.username}, ${user.status}, since ${dateTime(user.created_at)}`}
    >
      <div className="grid gap-5 sm:grid-cols-2">
        <div>
          <RoleChoice chosen={roles} onChange={setRoles} disabled={!may.roles || self} />
          {may.roles && !self && (
            <Button
              look="primary"
              className="mt-2 w-full"
              disabled={!rolesChanged || change.isPending}
              onClick={() => change.mutate({ roles: [...roles] })}
            >
              {rolesChanged ? "Save roles" : "Roles are saved"}
            </Button>
          )}
          {self && <p className="mt-2 text-xs text-muted">Nobody changes their own roles.</p>}
        </div>
        <div className="flex flex-col gap-4">
          <Grants
            user={user}
            disabled={!may.grants || grant.isPending || live.isPending}
            onChange={(account_id, access) => grant.mutate({ account_id, access })}
            onLive={(account_id, on) => live.mutate({ account_id, on })}
          />
          {may.manage && !self && (
            <div className="flex flex-wrap gap-2">
              <Button
                look={disabled ? "plain" : "danger"}
                disabled={change.isPending || user.status === "invited"}
                onClick={() => change.mutate({ status: disabled ? "active" : "disabled" })}
              >
                {disabled ? "Enable" : "Disable"}
              </Button>
              <Button disabled={invite.isPending || disabled} onClick={() => invite.mutate()}>
                New link to set a password
              </Button>
            </div>
          )}
          {invite.data && (
            <InviteLink url={invite.data.invite_url} expiresAt={invite.data.invite_expires_at} />
          )}
        </div>
      </div>
      {problem && (
        <div className="mt-4">
          <Refusal problem={problemOf(problem)} title="Nothing was changed" />
        </div>
      )}
    </Dialog>
  );
}

const ACCESS: Access[] = ["view", "trade", "manage"];

interface GrantsProps {
  user: User;
  disabled: boolean;
  onChange(accountId: string, access: Access | ""): void;
  onLive(accountId: string, on: boolean): void;
}

/** Access to each account that the one who edits can see, and whether it goes as far as real money. */
export function Grants({ user, disabled, onChange, onLive }: GrantsProps) {
  const { accounts } = useSession();
  const names = new Map([
    ...user.grants.map((one) => [one.account_id, one.account_name] as const),
    ...accounts.map((one) => [one.id, one.name] as const),
  ]);
  return (
    <fieldset disabled={disabled} className="flex flex-col gap-2">
      <legend className="mb-1 text-xs text-muted">Accounts</legend>
      {[...names].map(([id, name]) => {
        const grant = user.grants.find((one) => one.account_id === id);
        const real = accounts.some((one) => one.id === id && one.mode === "live");
        return (
          <div key={id}>
            <Select
              label={name}
              value={grant?.access ?? ""}
              onChange={(event) => onChange(id, event.target.value as Access | "")}
            >
              <option value="">No access</option>
              {ACCESS.map((access) => (
                <option key={access}>{access}</option>
              ))}
            </Select>
            {grant && (real || grant.live) && (
              <CheckBox
                checked={grant.live}
                disabled={grant.access === "view" && !grant.live}
                onChange={(on) => onLive(id, on)}
                hint="Asks for your second factor."
              >
                Also with real money
              </CheckBox>
            )}
          </div>
        );
      })}
      {names.size === 0 && <p className="text-muted">There are no accounts to grant.</p>}
    </fieldset>
  );
}
