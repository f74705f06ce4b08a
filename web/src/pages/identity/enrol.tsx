import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { answer, api, problemOf, replacingCookie } from "../../api/client";
import type { Enrolment } from "../../api/types";
import { Button, Field } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Refusal } from "../refusal";
import { CodeField } from "./code-field";
import { RecoveryCodes } from "./recovery-codes";

/** Where setting up an app stands. */
type Step =
  | { step: "password" }
  | { step: "scan"; enrolment: Enrolment }
  | { step: "codes"; codes: readonly string[] };

const WORDS = {
  password: ["Set up an authenticator app", "First your password: it must be you who does this."],
  scan: ["Set up an authenticator app", "Scan the code with the app, then type what it shows."],
  codes: ["Your recovery codes", "The app counts from now on. Your other sessions have ended."],
} as const;

/** Sets an authenticator app up: the password, the QR code, the first right code, the recovery codes. */
export function Enrol({ onClose, returnTo }: { onClose(): void; returnTo(): HTMLElement | null }) {
  const [at, setAt] = useState<Step>({ step: "password" });
  const [title, description] = WORDS[at.step];
  const content = useRef<HTMLDivElement>(null);
  // What had the focus is gone with its step; the dialog itself sees only to the first one.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the step is what it happens for
  useEffect(
    () => content.current?.querySelector<HTMLElement>("[data-first-focus]")?.focus(),
    [at.step],
  );
  return (
    <Dialog open onClose={onClose} returnTo={returnTo} title={title} description={description}>
      <div ref={content}>
        {at.step === "password" && (
          <Password onRight={(enrolment) => setAt({ step: "scan", enrolment })} />
        )}
        {at.step === "scan" && (
          <Scan
            enrolment={at.enrolment}
            onRight={(codes) => setAt({ step: "codes", codes })}
            onOver={() => setAt({ step: "password" })}
          />
        )}
        {at.step === "codes" && <RecoveryCodes codes={at.codes} onDone={onClose} />}
      </div>
    </Dialog>
  );
}

function Password({ onRight }: { onRight(enrolment: Enrolment): void }) {
  const [password, setPassword] = useState("");
  const begin = useMutation({
    mutationFn: () => answer(api.POST("/api/v1/factors/totp", { body: { password } })),
    onSuccess: onRight,
    onError: () => setPassword(""),
  });
  const problem = begin.error ? problemOf(begin.error) : null;
  return (
    <form
      noValidate
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (password && !begin.isPending) begin.mutate();
      }}
    >
      <Field
        label="Password"
        name="password"
        type="password"
        autoComplete="current-password"
        data-first-focus
        value={password}
        onChange={(event) => setPassword(event.target.value)}
        error={problem?.field === "password" ? problem.detail : null}
      />
      {problem && <Refusal problem={problem} title="Nothing was set up" />}
      <Button type="submit" look="primary" disabled={!password || begin.isPending}>
        {begin.isPending ? "Checking…" : "Go on"}
      </Button>
    </form>
  );
}

function Scan({
  enrolment,
  onRight,
  onOver,
}: {
  enrolment: Enrolment;
  onRight(codes: readonly string[]): void;
  onOver(): void;
}) {
  const client = useQueryClient();
  const [code, setCode] = useState("");
  const confirm = useMutation({
    mutationFn: () =>
      replacingCookie(answer(api.POST("/api/v1/factors/totp/confirm", { body: { code } }))),
    onSuccess: ({ recovery_codes }) => {
      void client.invalidateQueries({ queryKey: ["factors"] });
      onRight(recovery_codes);
    },
    onError: () => setCode(""),
  });
  const problem = confirm.error ? problemOf(confirm.error) : null;
  return (
    <form
      noValidate
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (code.trim() && !confirm.isPending) confirm.mutate();
      }}
    >
      <img
        alt="QR code of the key below"
        src={`data:image/svg+xml,${encodeURIComponent(enrolment.qr_svg)}`}
        className="mx-auto size-52 rounded-md bg-on-trade p-1"
      />
      <p className="text-center">
        <span className="block text-xs text-muted">Without a camera, type this key:</span>
        <code data-totp-key className="font-mono text-sm wrap-anywhere select-all">
          {enrolment.key}
        </code>
      </p>
      <CodeField
        digits
        value={code}
        onChange={setCode}
        error={problem?.field === "code" ? problem.detail : null}
      />
      {problem && <Refusal problem={problem} title="The app does not count yet" />}
      {problem?.code === "begin_again" ? (
        <Button look="primary" onClick={onOver}>
          Begin again
        </Button>
      ) : (
        <Button type="submit" look="primary" disabled={!code.trim() || confirm.isPending}>
          {confirm.isPending ? "Checking…" : "Confirm"}
        </Button>
      )}
    </form>
  );
}
