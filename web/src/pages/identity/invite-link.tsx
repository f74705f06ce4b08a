import { dateTime } from "../../format/time";
import { Copied } from "../../ui/copied";

/** A link that works once, ready to be handed over. */
export function InviteLink({ url, expiresAt }: { url: string; expiresAt: string | null }) {
  return (
    <div>
      <Copied label="Invitation link" text={url} />
      <p className="mt-2 text-xs text-muted">Valid until {dateTime(expiresAt)}.</p>
    </div>
  );
}
