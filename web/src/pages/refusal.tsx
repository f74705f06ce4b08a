import type { Problem } from "../api/types";
import { Notice } from "../ui/surface";

/** A name as the desk writes it, for people: `buying_power` is `Buying power`. */
export function ruleTitle(rule: string): string {
  const words = rule.replace(/[_.]/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A refusal: what, which rule, what it allows and what was given. */
export function Refusal({ problem, title }: { problem: Problem; title?: string }) {
  const numbers = [
    problem.rule && `rule ${ruleTitle(problem.rule).toLowerCase()}`,
    problem.limit != null && `limit ${problem.limit}`,
    problem.value != null && `value ${problem.value}`,
  ].filter(Boolean);
  return (
    <Notice tone="bad" urgent title={title ?? problem.title}>
      <p>{problem.detail}</p>
      {problem.code === "factor_needed" && (
        <a href="/security" className="font-semibold text-accent underline underline-offset-2">
          Set up a second factor
        </a>
      )}
      {numbers.length > 0 && <p className="mt-1 text-xs">{numbers.join(" · ")}</p>}
      {problem.errors?.map((one) => (
        <p key={one.field + one.code} className="mt-1 text-xs">
          {one.field}: {one.detail}
        </p>
      ))}
      {problem.code && (
        <p className="mt-1 text-2xs text-muted">
          {problem.code}
          {problem.request_id && ` · request ${problem.request_id}`}
        </p>
      )}
    </Notice>
  );
}
