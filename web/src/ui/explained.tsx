import { Popover } from "radix-ui";
import type { ReactNode } from "react";

interface ExplainedProps {
  /** What the number is called. */
  title: string;
  /** How it is computed; without one the number is only a number. */
  formula: string | undefined;
  /** What goes into it, in words. */
  inputs?: string;
  /** The formula with its numbers put in. */
  sum?: ReactNode;
  /** What else is worth knowing of it. */
  values?: readonly (readonly [name: string, value: ReactNode])[];
  children: ReactNode;
}

/** A number that opens its formula. */
export function Explained({ title, formula, inputs, sum, values = [], children }: ExplainedProps) {
  if (!formula) return children;
  return (
    <Popover.Root>
      <Popover.Trigger
        data-explained
        className="relative min-h-6 cursor-help text-left underline decoration-line-strong decoration-dotted underline-offset-4 before:absolute before:-inset-2 before:content-[''] hover:decoration-accent"
      >
        {children}
        <span className="sr-only"> {title}: how it is computed</span>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          aria-label={title}
          sideOffset={6}
          collisionPadding={12}
          className="z-60 max-h-(--radix-popover-content-available-height) w-80 max-w-[calc(100vw-1.5rem)] overflow-y-auto rounded-lg border border-line bg-panel p-3 text-[0.8125rem] text-ink shadow-xl outline-none"
        >
          <p className="font-semibold">{title}</p>
          <p className="mt-1 rounded bg-ground px-2 py-1.5 font-mono text-xs wrap-anywhere">
            {formula}
          </p>
          {inputs && <p className="mt-1.5 text-xs text-muted">{inputs}</p>}
          {sum}
          {values.length > 0 && (
            <dl className="mt-2 divide-y divide-line/60 border-t border-line/60">
              {values.map(([name, value]) => (
                <div key={name} className="flex justify-between gap-4 py-1">
                  <dt className="text-muted">{name}</dt>
                  <dd className="text-right">{value}</dd>
                </div>
              ))}
            </dl>
          )}
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

interface SumProps {
  terms: readonly { by?: string; name: string; text: string }[];
  result: string;
}

/** Numbers one under the other, what is done with each before it, and what they make below the line. */
export function Sum({ terms, result }: SumProps) {
  return (
    <dl className="mt-2 border-t border-line/60 pt-1">
      {terms.map(({ by, name, text }) => (
        <div key={`${by} ${name}`} className="flex items-baseline gap-2 py-0.5">
          <dt className="min-w-0 flex-1 text-muted">
            <span className="inline-block w-4 text-ink">{by}</span>
            {name}
          </dt>
          <dd className="text-right">{text}</dd>
        </div>
      ))}
      <div className="mt-1 flex items-baseline gap-2 border-t border-line-strong pt-1 font-semibold">
        <dt className="flex-1">=</dt>
        <dd data-result className="text-right">
          {result}
        </dd>
      </div>
    </dl>
  );
}
