import { answer, api } from "../../api/client";
import type { ApiKey } from "../../api/types";
import { Decision } from "../decision";

interface RevokeKeyProps {
  apiKey: ApiKey;
  returnTo(): HTMLElement | null;
  onClose(): void;
}

/** Ends a key at once and for ever. */
export function RevokeKey({ apiKey: { id, name }, returnTo, onClose }: RevokeKeyProps) {
  return (
    <Decision
      title={`Revoke ${name}?`}
      description={`Key ${id} is refused from then on, and never good again.`}
      act={(key) =>
        answer(
          api.DELETE("/api/v1/keys/{id}", {
            params: { path: { id }, header: { "Idempotency-Key": key } },
          }),
        )
      }
      button="Revoke the key"
      busy="Revoking…"
      look="danger"
      back="Keep it"
      refused="The key was not revoked"
      changes={["keys"]}
      returnTo={returnTo}
      onClose={onClose}
    >
      <p>Streams that it opened are closed. Orders that it placed stay.</p>
    </Decision>
  );
}
