import { answer, api, ProblemError, problemOf, replacingCookie } from "../api/client";
import { createStore } from "./store";

/** Somebody is being asked for their second factor; the dialog of the page's frame shows it. */
export interface StepUp {
  /** Where the focus was when the act was begun, and goes back to. */
  readonly from: HTMLElement | null;
  /** Tries a code; rejects with a {@link ProblemError} when the desk refuses it. */
  show(code: string): Promise<void>;
  /** Leaves it; the act stays refused. */
  leave(): void;
}

/** The question that is open, if one is. */
export const stepUp = createStore<StepUp | null>(null);

/**
 * Runs an API call that the desk may refuse until a second factor was shown.
 *
 * When it answers `step_up_needed`, asks for a code, shows it to the desk and repeats the call, once. When the question is
 * left unanswered, the first refusal stands. `act` is called anew for the repetition, so a key against doing it twice is
 * made outside of it.
 */
export async function withStepUp<T>(act: () => Promise<T>): Promise<T> {
  const from = globalThis.document?.activeElement as HTMLElement | null | undefined;
  try {
    return await act();
  } catch (refusal) {
    if (!isStepUpNeeded(refusal)) throw refusal;
    if (!(await ask(from ?? null))) throw refusal;
    return act();
  }
}

/** Whether an act was refused because nobody showed a factor: nothing to report to whoever just declined to. */
export function isStepUpNeeded(error: unknown): boolean {
  return error instanceof ProblemError && problemOf(error).code === "step_up_needed";
}

let asked: Promise<boolean> | null = null;

/** Asks once, however many acts wait for it. True when the factor was shown. */
function ask(from: HTMLElement | null): Promise<boolean> {
  asked ??= new Promise<boolean>((resolve) => {
    const done = (shown: boolean) => {
      asked = null;
      stepUp.set(null);
      resolve(shown);
    };
    stepUp.set({
      from,
      show: async (code) => {
        await replacingCookie(answer(api.POST("/api/v1/session/step-up", { body: { code } })));
        done(true);
      },
      leave: () => done(false),
    });
  });
  return asked;
}
