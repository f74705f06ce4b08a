import { useState } from "react";
import { dateTime } from "../../format/time";
import { Button } from "../../ui/controls";
import { Check, Copy } from "../../ui/icons";
import { Notice } from "../../ui/surface";
import { useSession } from "../session";

/** Recovery codes, the one time that they are shown. */
export function RecoveryCodes({ codes, onDone }: { codes: readonly string[]; onDone(): void }) {
  const { user } = useSession();
  const [made] = useState(() => new Date().toISOString());
  const [copied, setCopied] = useState<boolean | null>(null);
  const copy = () =>
    navigator.clipboard.writeText(codes.join("\n")).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  return (
    <div className="flex flex-col gap-3" data-print>
      <Notice tone="warn" title="Keep these where you find them without your phone">
        Each lets you in once. They are not shown again; new ones replace them.
      </Notice>
      <ol
        aria-label="Recovery codes"
        data-first-focus
        tabIndex={-1}
        className="grid grid-cols-1 gap-x-6 gap-y-1 rounded-md border border-line bg-ground px-4 py-3 font-mono text-sm sm:grid-cols-2"
      >
        {codes.map((code) => (
          <li key={code} className="select-all">
            {code}
          </li>
        ))}
      </ol>
      <p className="text-xs text-muted">
        Stockade, {location.host}: {user.username}, {dateTime(made)}
      </p>
      <div className="flex flex-wrap gap-2 print:hidden">
        <Button onClick={() => void copy()}>
          {copied ? <Check /> : <Copy />} {copied ? "Copied" : "Copy"}
        </Button>
        <Button onClick={() => print()}>Print</Button>
        <Button look="primary" className="ml-auto" onClick={onDone}>
          I have kept them
        </Button>
      </div>
      <p className="text-xs text-muted empty:hidden print:hidden" role="status">
        {copied === false &&
          "The browser did not allow copying; mark the codes and copy them by hand."}
        {copied && "Copied. Whoever reads the clipboard has them, so paste them soon."}
      </p>
    </div>
  );
}
