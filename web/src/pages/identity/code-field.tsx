import { Field } from "../../ui/controls";

interface CodeFieldProps {
  value: string;
  onChange(value: string): void;
  error?: string | null;
  /** Only an app's six digits will do: phones show digits. */
  digits?: boolean;
}

/** Where a code of the second factor is typed. */
export function CodeField({ value, onChange, error, digits }: CodeFieldProps) {
  return (
    <Field
      label="Code"
      name="code"
      data-first-focus
      autoComplete="one-time-code"
      autoCapitalize="characters"
      spellCheck={false}
      inputMode={digits ? "numeric" : "text"}
      maxLength={40}
      className="font-mono text-base tracking-widest"
      value={value}
      onChange={(event) => onChange(event.target.value)}
      error={error}
      hint={
        digits
          ? "The six digits that the app shows now."
          : "Six digits from your authenticator app, or one of your recovery codes."
      }
    />
  );
}
