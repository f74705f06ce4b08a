import { useMutation, useQueryClient, useSuspenseQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { answer, api, problemOf } from "../../api/client";
import type { Factors } from "../../api/types";
import { dateTime } from "../../format/time";
import { isStepUpNeeded, withStepUp } from "../../live/step-up";
import { Button } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Fact, Notice, Panel, Tag } from "../../ui/surface";
import { Refusal } from "../refusal";
import { Enrol } from "./enrol";
import { RecoveryCodes } from "./recovery-codes";

/** So few recovery codes are worth a warning. */
const FEW = 3;

/** How one proves to be oneself: the second factor and what to do when it is lost. */
export function Security() {
  const { data: factors } = useSuspenseQuery({
    queryKey: ["factors"],
    queryFn: () => answer(api.GET("/api/v1/factors")),
  });
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-3">
      <Panel
        title={<h1>Security</h1>}
        aside={
          <Tag tone={factors.totp_since ? "good" : "warn"}>
            {factors.totp_since ? "Second factor on" : "No second factor"}
          </Tag>
        }
      >
        <div className="flex flex-col gap-4 p-4 text-sm leading-6">
          <p>
            A second factor is a code from an app on your phone. Signing in asks for it after the
            password, so that a stolen password alone opens nothing. Acts that can lose much at once
            ask for it again.
          </p>
          <Part factors={factors} />
        </div>
      </Panel>
    </div>
  );
}

/** What is open on top of the page. */
type Open =
  | { what: "nothing" }
  | { what: "enrol" }
  | { what: "remove" }
  | { what: "codes"; codes: readonly string[] };

function Part({ factors }: { factors: Factors }) {
  const client = useQueryClient();
  const [open, setOpen] = useState<Open>({ what: "nothing" });
  const first = useRef<HTMLButtonElement>(null);
  const close = () => setOpen({ what: "nothing" });
  const refresh = () => client.invalidateQueries({ queryKey: ["factors"] });
  const renew = useMutation({
    mutationFn: () => withStepUp(() => answer(api.POST("/api/v1/factors/recovery-codes"))),
    onSuccess: ({ recovery_codes }) => setOpen({ what: "codes", codes: recovery_codes }),
    onSettled: refresh,
  });
  const remove = useMutation({
    mutationFn: () => withStepUp(() => answer(api.DELETE("/api/v1/factors/totp"))),
    onSuccess: close,
    onSettled: refresh,
  });
  const error = [renew.error, remove.error].find((one) => one && !isStepUpNeeded(one));
  const few = factors.recovery_codes_left <= FEW;
  return (
    <>
      {factors.totp_since ? (
        <>
          <dl>
            <Fact name="Authenticator app">since {dateTime(factors.totp_since)}</Fact>
            <Fact name="Recovery codes left">{factors.recovery_codes_left} of 10</Fact>
            <Fact name="Shown in this session">{dateTime(factors.shown_at)}</Fact>
          </dl>
          {few && (
            <Notice tone="warn" title="Few recovery codes are left">
              Make new ones while you still have the app.
            </Notice>
          )}
          <div className="flex flex-wrap gap-2">
            {/* Never disabled: it has the focus again when the question for the factor was left. */}
            <Button ref={first} onClick={() => renew.isPending || renew.mutate()}>
              New recovery codes
            </Button>
            <Button look="danger" onClick={() => setOpen({ what: "remove" })}>
              Remove the second factor
            </Button>
          </div>
        </>
      ) : (
        <div>
          <Button ref={first} look="primary" onClick={() => setOpen({ what: "enrol" })}>
            Set up an authenticator app
          </Button>
        </div>
      )}
      {error && <Refusal problem={problemOf(error)} title="Nothing was changed" />}
      {open.what === "enrol" && <Enrol onClose={close} returnTo={() => first.current} />}
      {open.what === "codes" && (
        <Dialog
          open
          onClose={close}
          returnTo={() => first.current}
          title="Your new recovery codes"
          description="The codes of before are good no more."
        >
          <RecoveryCodes codes={open.codes} onDone={close} />
        </Dialog>
      )}
      {open.what === "remove" && (
        <Dialog
          open
          onClose={close}
          returnTo={() => first.current}
          title="Remove the second factor?"
          description="Signing in then takes the password alone, and dangerous acts are refused to you."
        >
          <p>The recovery codes go with it, and your other sessions end.</p>
          <div className="mt-4 flex gap-2">
            <Button className="flex-1" data-first-focus onClick={close}>
              Keep it
            </Button>
            <Button
              look="danger"
              className="flex-1"
              onClick={() => remove.isPending || remove.mutate()}
            >
              {remove.isPending ? "Removing…" : "Remove"}
            </Button>
          </div>
        </Dialog>
      )}
    </>
  );
}
