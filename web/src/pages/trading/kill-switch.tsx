import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useRef, useState } from "react";
import { answer, api, idempotencyKey, problemOf } from "../../api/client";
import type { AccountSummary, KillSwitch } from "../../api/types";
import { dateTime } from "../../format/time";
import { kills } from "../../live/desk";
import { useResource } from "../../live/resource";
import { isStepUpNeeded, withStepUp } from "../../live/step-up";
import { Button, CheckBox, Field } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Stop } from "../../ui/icons";
import { Banner } from "../frame/banners";
import { Refusal } from "../refusal";
import { useAccount, useMay, useSession } from "../session";
import { isScope, ScopeSelect, useScopes } from "./scopes";

/** What stops the account: switches of the desk, of itself, or of whoever looks. */
function useStopping(account: AccountSummary | undefined): readonly KillSwitch[] {
  const { user } = useSession();
  const { state = [] } = useResource(kills());
  const mine = ["desk", `user/${user.id}`, account && `account/${account.id}`];
  return state.filter((one) => mine.includes(one.scope.scope));
}

/** The kill switch of the header: one press opens it, the next one pulls it. */
export function KillButton() {
  const account = useAccount();
  const may = useMay("kill.engage");
  const mayDesk = useMay("kill.desk");
  const stopped = useStopping(account).length > 0;
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  if (!may && !mayDesk) return null;
  return (
    <>
      <button
        ref={button}
        type="button"
        onClick={() => setOpen(true)}
        className={`inline-flex min-h-11 items-center gap-1.5 rounded-md border-2 px-2.5 text-xs font-bold whitespace-nowrap sm:min-h-8 ${
          stopped
            ? "border-sell bg-sell text-on-trade"
            : "border-down/70 text-down hover:bg-bad-ground"
        }`}
      >
        <Stop />
        {stopped ? "STOPPED" : "Kill"}
        <span className="sr-only"> switch</span>
      </button>
      {open && <Pull returnTo={() => button.current} onClose={() => setOpen(false)} />}
    </>
  );
}

const REASON = "Stopped by hand";

function Pull({ returnTo, onClose }: { returnTo(): HTMLElement | null; onClose(): void }) {
  const client = useQueryClient();
  const account = useAccount();
  const scopes = useScopes(useMay("kill.desk"));
  const form = useId();
  const [scope, setScope] = useState(scopes[0]?.scope ?? "desk");
  const [reason, setReason] = useState(REASON);
  const [flatten, setFlatten] = useState(false);
  const [drill, setDrill] = useState(false);
  const [key] = useState(idempotencyKey);
  const paper = account?.mode === "paper";
  const pull = useMutation({
    mutationFn: () =>
      answer(
        api.POST("/api/v1/kill-switches", {
          params: { header: { "Idempotency-Key": key } },
          body: { scope, reason: reason.trim() || REASON, flatten, drill },
        }),
      ),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["orders"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isScope(scope) && !pull.isPending) pull.mutate();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      returnTo={returnTo}
      title="Kill switch"
      description="Stops new orders at once and cancels those that work."
      footer={
        <>
          <Button className="flex-1" onClick={onClose}>
            Back
          </Button>
          <Button
            type="submit"
            form={form}
            look="sell"
            className="flex-[2]"
            disabled={pull.isPending || !isScope(scope)}
          >
            <Stop />
            {pull.isPending ? "Stopping…" : drill ? "Start the drill" : "Stop trading now"}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} noValidate className="flex flex-col gap-3">
        <ScopeSelect label="What to stop" value={scope} scopes={scopes} onChange={setScope} />
        <Field
          label="Reason"
          name="reason"
          maxLength={500}
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
        <div>
          <CheckBox
            checked={flatten}
            disabled={drill}
            onChange={setFlatten}
            hint="After the cancels, positions are closed at the market."
          >
            Also close the positions
          </CheckBox>
          <CheckBox
            checked={drill}
            disabled={!paper}
            onChange={(next) => {
              setDrill(next);
              if (next) setFlatten(false);
            }}
            hint={
              paper
                ? "Stops for real and measures how fast; no second factor is needed to re-arm."
                : "Drills are for paper accounts."
            }
          >
            This is a drill
          </CheckBox>
        </div>
        {pull.error && (
          <Refusal problem={problemOf(pull.error)} title="The switch was not pulled" />
        )}
      </form>
    </Dialog>
  );
}

/** Every pulled switch that concerns whoever looks, with the way to release it. */
export function KillBanners() {
  const { state = [] } = useResource(kills());
  return state.map((one) => <Engaged key={one.scope.scope} kill={one} />);
}

function Engaged({ kill }: { kill: KillSwitch }) {
  const { user } = useSession();
  const mayPull = useMay("kill.engage");
  const mayRearm = useMay("kill.rearm");
  const own = kill.scope.scope === `user/${user.id}`;
  const rearm = useMutation({
    mutationFn: () =>
      withStepUp(() =>
        answer(
          api.DELETE("/api/v1/kill-switches", { params: { query: { scope: kill.scope.scope } } }),
        ),
      ),
  });
  const refused = rearm.error && !isStepUpNeeded(rearm.error) ? problemOf(rearm.error) : null;
  const what = kill.drill ? "Kill switch drill" : "Kill switch pulled";
  return (
    <>
      <Banner
        tone="bad"
        title={`${what}: ${own ? "your own orders" : kill.scope.name}.`}
        action={
          (mayRearm || (kill.drill && mayPull)) && (
            <Button
              small
              onClick={() => {
                if (!rearm.isPending) rearm.mutate();
              }}
            >
              {rearm.isPending ? "Re-arming…" : kill.drill ? "End the drill" : "Re-arm"}
              <span className="sr-only"> {kill.scope.name}</span>
            </Button>
          )
        }
      >
        {kill.reason}, by {kill.engaged_by.name} at {dateTime(kill.engaged_at)}. No new orders are
        taken, open ones are cancelled{kill.flatten ? ", positions are closed" : ""}.
        {kill.drill_result &&
          ` Measured: the last order was taken ${kill.drill_result.last_accepted_ms} ms after the call, all ${kill.drill_result.cancels} cancels were sent after ${kill.drill_result.cancels_sent_ms} ms.`}
        {!kill.in_database && " It is not in the database yet; the desk keeps trying."}
      </Banner>
      {refused && (
        <div className="flex flex-col items-end gap-1 bg-ground p-3">
          <div className="w-full">
            <Refusal problem={refused} title="The switch was not released" />
          </div>
          <Button small look="quiet" onClick={() => rearm.reset()}>
            Close this
          </Button>
        </div>
      )}
    </>
  );
}
