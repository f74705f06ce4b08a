import { Field } from "../../ui/controls";

interface CredentialFieldsProps {
  keyId: string;
  secret: string;
  onKeyId(keyId: string): void;
  onSecret(secret: string): void;
  errorAt(field: string): string | null;
  /** The focus begins here. */
  first?: boolean;
}

/** Both halves of a broker's key. The browser is asked not to keep them. */
export function CredentialFields(props: CredentialFieldsProps) {
  return (
    <>
      <Field
        data-first-focus={props.first ? true : undefined}
        label="Key id"
        name="key_id"
        spellCheck={false}
        value={props.keyId}
        error={props.errorAt("key_id")}
        onChange={(event) => props.onKeyId(event.target.value)}
      />
      <Field
        label="Secret"
        name="secret"
        type="password"
        autoComplete="new-password"
        hint="Sealed at once, and shown to nobody again."
        value={props.secret}
        error={props.errorAt("secret")}
        onChange={(event) => props.onSecret(event.target.value)}
      />
    </>
  );
}
