import type { ReactNode } from "react";
import { Check, Cross, Info, Warning } from "./icons";

interface PanelProps {
  title: ReactNode;
  /** Beside the title, at the far end. */
  aside?: ReactNode;
  className?: string;
  children: ReactNode;
}

/** A titled part of the page. */
export function Panel({ title, aside, className = "", children }: PanelProps) {
  return (
    <section
      className={`flex min-w-0 flex-col rounded-lg border border-line bg-panel ${className}`}
    >
      <div className="flex min-h-11 flex-wrap items-center justify-between gap-x-3 gap-y-1 border-b border-line px-3 py-1">
        <h2 className="text-[0.8125rem] font-semibold">{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}

export type Tone = "good" | "warn" | "bad" | "calm";

const TONES: Record<Tone, string> = {
  good: "bg-good-ground text-up",
  warn: "bg-warn-ground text-warn",
  bad: "bg-bad-ground text-down",
  calm: "bg-raised text-muted",
};

/** A word in a box. The tone repeats what the word says and never replaces it. */
export function Tag({ tone = "calm", children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span
      className={`inline-flex items-center gap-1 rounded px-1.5 py-px text-2xs font-medium whitespace-nowrap ${TONES[tone]}`}
    >
      {children}
    </span>
  );
}

interface NoticeProps {
  tone: Tone;
  title: ReactNode;
  children?: ReactNode;
  action?: ReactNode;
  /** Interrupts those who listen; for what they must know now. */
  urgent?: boolean;
}

const SIGNS = { good: Check, warn: Warning, bad: Cross, calm: Info };

/** Something that was said by the desk: a refusal, a warning, a success. */
export function Notice({ tone, title, children, action, urgent }: NoticeProps) {
  const Sign = SIGNS[tone];
  return (
    <div
      role={urgent ? "alert" : "status"}
      className={`flex items-start gap-2.5 rounded-md border border-current/30 px-3 py-2.5 ${TONES[tone]}`}
    >
      <Sign className="mt-0.5 size-4" />
      <div className="min-w-0 flex-1">
        <p className="font-semibold">{title}</p>
        {children && <div className="mt-0.5 text-ink wrap-anywhere">{children}</div>}
      </div>
      {action}
    </div>
  );
}

/** What stands where a list is empty. */
export function Empty({ children }: { children: ReactNode }) {
  return <p className="px-3 py-8 text-center text-muted">{children}</p>;
}

/** A name and its value, the value aligned for comparison. */
export function Fact({ name, children }: { name: ReactNode; children: ReactNode }) {
  return (
    <div className="flex items-baseline justify-between gap-4 py-1">
      <dt className="text-muted">{name}</dt>
      <dd className="text-right font-medium wrap-anywhere">{children}</dd>
    </div>
  );
}
