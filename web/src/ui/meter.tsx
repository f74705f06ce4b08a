interface MeterProps {
  /** What is measured, for those who listen. */
  label: string;
  /** 0 is empty, 1 is full; more is over. */
  fraction: number;
  /** The value in words. */
  text: string;
}

/** How much of something is used, as a bar; from four fifths on it warns, in colour and by a mark. */
export function Meter({ label, fraction, text }: MeterProps) {
  const part = Math.min(1, Math.max(0, fraction));
  const colour = fraction >= 1 ? "bg-down" : fraction >= 0.8 ? "bg-warn" : "bg-up";
  return (
    // biome-ignore lint/a11y/useSemanticElements: a meter element cannot be styled alike everywhere
    <div
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={1}
      aria-valuenow={part}
      aria-valuetext={text}
      className="relative h-2 min-w-16 overflow-hidden rounded-full border border-line-strong/40 bg-ground"
    >
      <div className={`h-full ${colour}`} style={{ width: `${part * 100}%` }} />
      {/* Where it begins to warn. */}
      <span className="absolute inset-y-0 left-4/5 w-px bg-line-strong" />
    </div>
  );
}
