import { type ReactNode, useId, useState } from "react";
import { idempotencyKey } from "../api/client";
import { Button, type Look } from "../ui/controls";
import { Dialog } from "../ui/dialog";
import { useAct } from "./act";
import { Refusal } from "./refusal";

/** What the desk said against one field of the form; a field that asks for it shows it. */
type ErrorAt = (field: string) => string | null;

/** What stands in the place of the questions once it is done. */
interface Outcome {
  title: ReactNode;
  description: ReactNode;
  content: ReactNode;
}

interface DecisionProps<T> {
  title: ReactNode;
  /** One sentence on what is being decided. */
  description: ReactNode;
  /** Asks the desk. The key is one and the same however often it is sent, so that it is done once. */
  act(key: string): Promise<T>;
  /** The button that decides, and what it says while the desk is asked. */
  button: ReactNode;
  busy: ReactNode;
  look?: Look;
  /** What the other button says. */
  back?: string;
  /** Whether it can be sent. */
  ready?: boolean;
  /** A last look when it is sent: with false it is not. */
  check?(): boolean;
  /** What is said above the desk's reasons when it refuses. */
  refused: string;
  /** The queries whose answers are old once it is done. */
  changes?: readonly string[];
  /** What follows when it is done; without it, and without an outcome, the dialog closes. */
  onDone?(answer: T): void;
  /** What there is to see when it is done. */
  outcome?(answer: T): Outcome;
  returnTo(): HTMLElement | null;
  onClose(): void;
  children?: ReactNode | ((errorAt: ErrorAt) => ReactNode);
}

/** A dialog in which a person decides something: what it needs, and the one button that asks the desk for it. */
export function Decision<T>(props: DecisionProps<T>) {
  const { look = "primary", ready = true, check, outcome, onClose, children } = props;
  const form = useId();
  const [key] = useState(idempotencyKey);
  const onDone = props.onDone ?? (outcome ? undefined : onClose);
  const act = useAct(() => props.act(key), { changes: props.changes, onDone });
  const done = act.answer !== undefined && outcome ? outcome(act.answer) : null;
  // What a field has said already need not be said again below.
  let said = false;
  const errorAt = (field: string) => {
    if (act.problem === null) return null;
    const here =
      act.problem.errors?.find((one) => one.field === field)?.detail ??
      (act.problem.field === field ? act.problem.detail : null);
    said ||= here !== null;
    return here;
  };
  const fields = typeof children === "function" ? children(errorAt) : children;
  return (
    <Dialog
      open
      onClose={onClose}
      returnTo={props.returnTo}
      title={done?.title ?? props.title}
      description={done?.description ?? props.description}
      footer={
        done ? (
          <Button look="primary" className="flex-1" onClick={onClose}>
            Done
          </Button>
        ) : (
          <>
            <Button className="flex-1" onClick={onClose}>
              {props.back ?? "Back"}
            </Button>
            <Button
              type="submit"
              form={form}
              look={look}
              className="flex-[2]"
              disabled={!ready || act.pending}
            >
              {act.pending ? props.busy : props.button}
            </Button>
          </>
        )
      }
    >
      {done?.content ?? (
        <form
          id={form}
          noValidate
          className="flex flex-col gap-3"
          onSubmit={(event) => {
            event.preventDefault();
            if (ready && (check?.() ?? true)) act.send();
          }}
        >
          {fields}
          {act.problem && !said && <Refusal problem={act.problem} title={props.refused} />}
        </form>
      )}
    </Dialog>
  );
}
