import type { Mode } from "../../api/types";
import { Warning } from "../../ui/icons";

/** Whether money is real: in words and in shape. Paper is a dashed slip, live a full block with a warning sign. */
export function ModeBadge({ mode }: { mode: Mode }) {
  if (mode === "live")
    return (
      <span className="inline-flex h-6 items-center gap-1 bg-sell px-2 text-xs font-bold tracking-wider text-on-trade">
        <Warning className="size-3.5" />
        LIVE
      </span>
    );
  return (
    <span className="inline-flex h-6 items-center rounded-full border-2 border-dashed border-warn px-2 text-xs font-bold tracking-wider text-warn">
      PAPER
    </span>
  );
}
