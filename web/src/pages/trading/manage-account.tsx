import { useState } from "react";
import { answer, api } from "../../api/client";
import type { AccountDetail, AccountSummary } from "../../api/types";
import { account as accountResource } from "../../live/desk";
import { useResource } from "../../live/resource";
import { Button } from "../../ui/controls";
import { DateTime } from "../../ui/date-time";
import { Notice, Panel } from "../../ui/surface";
import { useAct } from "../act";
import { Refusal } from "../refusal";
import { useMay } from "../session";
import { RemoveAccount } from "./remove-account";
import { RenameAccount } from "./rename-account";
import { RenewAccount } from "./renew-account";

/** What is open on top of the page, and where the focus goes after it. */
type Open = { what: "rename" | "renew" | "remove"; from: HTMLElement } | null;

/** Pausing, renewing, renaming and removing an account, for those who may. */
export function ManageAccount({ account }: { account: AccountSummary }) {
  const { state } = useResource(accountResource(account.id));
  const manages = useMay("accounts.manage") && account.access === "manage";
  const stops = useMay("kill.engage") && account.access !== "view";
  const [open, setOpen] = useState<Open>(null);
  if (!state || !(manages || stops)) return null;
  const close = { returnTo: () => open?.from ?? null, onClose: () => setOpen(null) };
  return (
    <Panel title="Manage this account">
      <div className="flex flex-col items-start gap-3 p-3">
        <Pause account={account} state={state} manages={manages} />
        {manages && (
          <div className="flex flex-wrap gap-2">
            {state.credentials_since_at !== null || account.broker !== "paper" ? (
              <Button
                look={state.locked_out ? "primary" : "plain"}
                onClick={(event) => setOpen({ what: "renew", from: event.currentTarget })}
              >
                Renew credentials…
              </Button>
            ) : null}
            <Button onClick={(event) => setOpen({ what: "rename", from: event.currentTarget })}>
              Rename…
            </Button>
            <Button
              look="danger"
              onClick={(event) => setOpen({ what: "remove", from: event.currentTarget })}
            >
              Remove…
            </Button>
          </div>
        )}
      </div>
      {open?.what === "rename" && <RenameAccount account={account} {...close} />}
      {open?.what === "renew" && <RenewAccount account={account} {...close} />}
      {open?.what === "remove" && <RemoveAccount account={account} {...close} />}
    </Panel>
  );
}

interface PauseProps {
  account: AccountSummary;
  state: AccountDetail;
  manages: boolean;
}

/** Whether it takes new risk, and the switch for that. */
export function Pause({ account, state, manages }: PauseProps) {
  const params = { path: { id: account.id } };
  const pause = useAct(() => answer(api.POST("/api/v1/accounts/{id}/pause", { params })));
  const activate = useAct(() => answer(api.DELETE("/api/v1/accounts/{id}/pause", { params })));
  if (state.paused_since_at === null)
    return (
      <>
        <p className="text-muted">
          Paused, it takes no new risk until somebody activates it, also after a restart. Cancels
          pass, and orders that close a position.
        </p>
        <Button disabled={pause.pending} onClick={() => pause.send()}>
          Pause the account
        </Button>
        {pause.problem && <Refusal problem={pause.problem} title="It was not paused" />}
      </>
    );
  return (
    <>
      <Notice tone="warn" title="The account is paused">
        It takes no new risk since <DateTime at={state.paused_since_at} />.
      </Notice>
      {manages && (
        <Button look="primary" disabled={activate.pending} onClick={() => activate.send()}>
          Activate the account
        </Button>
      )}
      {activate.problem && <Refusal problem={activate.problem} title="It was not activated" />}
    </>
  );
}
