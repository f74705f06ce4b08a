import { useState } from "react";
import { Button, INPUT } from "./controls";
import { Check, Copy } from "./icons";

/** A text to be taken elsewhere, with the button that copies it. */
export function Copied({ label, text }: { label: string; text: string }) {
  const [copied, setCopied] = useState<boolean | null>(null);
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  return (
    <div>
      <div className="flex gap-2">
        <input
          readOnly
          aria-label={label}
          value={text}
          onFocus={(event) => event.target.select()}
          className={`${INPUT} w-full font-mono text-xs`}
        />
        <Button onClick={() => void copy()}>
          {copied ? <Check /> : <Copy />} {copied ? "Copied" : "Copy"}
          <span className="sr-only"> {label}</span>
        </Button>
      </div>
      {copied === false && (
        <p className="mt-1 text-xs text-muted" role="status">
          The browser did not allow copying; mark it and copy it by hand.
        </p>
      )}
    </div>
  );
}
