import { useState } from "react";
import { dateTime } from "../../format/time";
import { Button, INPUT } from "../../ui/controls";
import { Check, Copy } from "../../ui/icons";

/** A link that works once, ready to be handed over. */
export function InviteLink({ url, expiresAt }: { url: string; expiresAt: string | null }) {
  const [copied, setCopied] = useState<boolean | null>(null);
  const copy = () =>
    navigator.clipboard.writeText(url).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  return (
    <div>
      <div className="flex gap-2">
        <input
          readOnly
          aria-label="Invitation link"
          value={url}
          onFocus={(event) => event.target.select()}
          className={`${INPUT} w-full font-mono text-xs`}
        />
        <Button onClick={() => void copy()}>
          {copied ? <Check /> : <Copy />} {copied ? "Copied" : "Copy"}
        </Button>
      </div>
      <p className="mt-2 text-xs text-muted" role="status">
        {copied === false &&
          "The browser did not allow copying; mark the link and copy it by hand. "}
        Valid until {dateTime(expiresAt)}.
      </p>
    </div>
  );
}
