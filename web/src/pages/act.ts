import { useMutation, useQueryClient } from "@tanstack/react-query";
import { problemOf } from "../api/client";
import type { Problem } from "../api/types";
import { isStepUpNeeded, withStepUp } from "../live/step-up";

/** Something that the desk can be asked to do, and how that stands. */
export interface Act<T, Given = void> {
  /** Asks for it; nothing happens while the answer to an earlier press is out. */
  send(given: Given): void;
  pending: boolean;
  /** Why the desk refused; null also for whoever declined to show a second factor, as they know. */
  problem: Problem | null;
  answer: T | undefined;
  /** Forgets the refusal. */
  reset(): void;
}

interface Options<T> {
  /** The queries whose answers are old once it is done, by the first word of their keys. */
  changes?: readonly string[];
  onDone?(answer: T): void;
}

/** An act of the person: asks for the second factor where the desk wants one, and is never under way twice. */
export function useAct<T, Given = void>(
  ask: (given: Given) => Promise<T>,
  { changes = [], onDone }: Options<T> = {},
): Act<T, Given> {
  const client = useQueryClient();
  const asked = useMutation({
    mutationFn: (given: Given) => withStepUp(() => ask(given)),
    onSuccess: (answer) => {
      for (const key of changes) void client.invalidateQueries({ queryKey: [key] });
      onDone?.(answer);
    },
  });
  return {
    send: (given) => {
      if (!asked.isPending) asked.mutate(given);
    },
    pending: asked.isPending,
    problem: asked.error && !isStepUpNeeded(asked.error) ? problemOf(asked.error) : null,
    answer: asked.data,
    reset: asked.reset,
  };
}
