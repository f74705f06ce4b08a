import type { AccountDetail } from "../../api/types";
import { Tag, type Tone } from "../../ui/surface";

type State = Pick<AccountDetail, "state" | "locked_out" | "paused_since_at" | "stream_since_at">;

/** How an account stands, worst first: everything that keeps it from taking risk, or that it takes some. */
export function standing(state: State): readonly (readonly [word: string, tone: Tone])[] {
  const words: [string, Tone][] = [];
  if (state.locked_out) words.push(["Locked out", "bad"]);
  else if (state.state === "blind") words.push(["Blind", "bad"]);
  if (state.paused_since_at !== null) words.push(["Paused", "warn"]);
  return words.length === 0 ? [["Trades", "good"]] : words;
}

/** The same as words in boxes. */
export function Standing({ state }: { state: State }) {
  return (
    <span className="inline-flex flex-wrap gap-1">
      {standing(state).map(([word, tone]) => (
        <Tag key={word} tone={tone}>
          {word}
        </Tag>
      ))}
    </span>
  );
}
