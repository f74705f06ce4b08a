import { Popover } from "radix-ui";
import type { ReactNode } from "react";

interface ExplainedProps {
  /** What the number is called. */
  title: string;
  /** How it is computed; without one the number is only a number. */
  formula: string | undefined;
  /** What goes into it, in words. */
  inputs?: string;
  /** What went into it now. */
  values?: readonly (readonly [name: string, value: ReactNode])[];
  children: ReactNode;
}

/** A number that opens its formula. */
export function Explained({ title, formula, inputs, values = [], children }: ExplainedProps) {
  if (!formula) return children;
  return (
    <Popover.Root>
      <Popover.Trigger className="relative min-h-6 cursor-help text-left underline decoration-line-strong decoration-dotted underline-offset-4 before:absolute before:-inset-2 before:content-[''] hover:decoration-accent">
        {children}
        <span className="sr-only"> {title}: how it is computed</span>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          aria-label={title}
          sideOffset={6}
          collisionPadding={12}
          className="z-40 w-80 max-w-[calc(100vw-1.5rem)] rounded-lg border border-line bg-panel p-3 text-[0.8125rem] text-ink shadow-xl outline-none"
        >
          <p className="font-semibold">{title}</p>
          <p className="mt-1 rounded bg-ground px-2 py-1.5 font-mono text-xs wrap-anywhere">
            {formula}
          </p>
          {inputs && <p className="mt-1.5 text-xs text-muted">{inputs}</p>}
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
