import {
  type ButtonHTMLAttributes,
  type InputHTMLAttributes,
  type ReactNode,
  type Ref,
  type SelectHTMLAttributes,
  useId,
} from "react";

type Look = "primary" | "plain" | "quiet" | "buy" | "sell" | "danger";

const LOOKS: Record<Look, string> = {
  primary: "bg-accent text-accent-ink hover:brightness-110",
  plain: "bg-raised text-ink border border-line-strong/60 hover:border-line-strong",
  quiet: "text-muted hover:text-ink hover:bg-raised",
  buy: "bg-buy text-on-trade hover:brightness-110",
  sell: "bg-sell text-on-trade hover:brightness-110",
  danger: "border border-down/60 text-down hover:bg-bad-ground",
};

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look;
  small?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

/** A button; 44 px high where fingers press it. */
export function Button({ look = "plain", small, className = "", ...rest }: ButtonProps) {
  const size = small
    ? "min-h-11 sm:min-h-7 px-2.5 text-xs"
    : "min-h-11 sm:min-h-9 px-3.5 text-[0.8125rem]";
  return (
    <button
      type="button"
      {...rest}
      className={`inline-flex items-center justify-center gap-1.5 rounded-md font-medium whitespace-nowrap transition-[filter,background-color,border-color] disabled:opacity-55 disabled:cursor-not-allowed ${size} ${LOOKS[look]} ${className}`}
    />
  );
}

export const INPUT =
  "min-h-11 sm:min-h-9 min-w-0 rounded-md border border-line-strong/70 bg-ground px-2.5 text-ink placeholder:text-muted aria-invalid:border-down disabled:opacity-60";

interface FieldProps {
  label: string;
  /** Shown after the label, as a unit. */
  unit?: ReactNode;
  /** What is wrong with it; announced with the field. */
  error?: string | null;
  hint?: ReactNode;
}

/** A labelled input with its unit, hint and error. */
export function Field({
  label,
  unit,
  error,
  hint,
  className = "",
  ...rest
}: FieldProps & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  const said = error ? `${id}-error` : hint ? `${id}-hint` : undefined;
  return (
    <div>
      <label htmlFor={id} className="mb-1 flex justify-between text-xs text-muted">
        <span>{label}</span>
        {unit && <span>{unit}</span>}
      </label>
      <input
        id={id}
        autoComplete="off"
        {...rest}
        aria-invalid={error ? true : undefined}
        aria-describedby={said}
        className={`${INPUT} w-full ${className}`}
      />
      {error ? (
        <p id={`${id}-error`} className="mt-1 text-xs text-down">
          {error}
        </p>
      ) : (
        hint && (
          <p id={`${id}-hint`} className="mt-1 text-xs text-muted">
            {hint}
          </p>
        )
      )}
    </div>
  );
}

interface SelectProps extends SelectHTMLAttributes<HTMLSelectElement> {
  label: string;
  /** Keeps the label for those who listen only. */
  bare?: boolean;
}

/** The browser's own choice list: works with every keyboard and phone. */
export function Select({ label, bare, className = "", children, ...rest }: SelectProps) {
  const id = useId();
  return (
    <div className={bare ? "contents" : ""}>
      <label htmlFor={id} className={bare ? "sr-only" : "mb-1 block text-xs text-muted"}>
        {label}
      </label>
      <select id={id} {...rest} className={`${INPUT} ${bare ? "" : "w-full"} ${className}`}>
        {children}
      </select>
    </div>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: readonly { value: T; text: string; look?: string }[];
  onChange(value: T): void;
  className?: string;
}

/** A few exclusive choices side by side: radio buttons that look like a switch. */
export function Choice<T extends string>({
  label,
  value,
  options,
  onChange,
  className = "",
}: ChoiceProps<T>) {
  const name = useId();
  return (
    <fieldset className={`flex rounded-md border border-line bg-ground p-0.5 ${className}`}>
      <legend className="sr-only">{label}</legend>
      {options.map((option) => (
        <label
          key={option.value}
          className={`relative flex min-h-11 flex-1 cursor-pointer items-center justify-center rounded px-2.5 font-medium whitespace-nowrap has-focus-visible:outline-2 has-focus-visible:outline-accent sm:min-h-8 ${
            value === option.value
              ? (option.look ?? "bg-raised text-ink shadow-sm ring-1 ring-line-strong/50")
              : "text-muted hover:text-ink"
          }`}
        >
          <input
            type="radio"
            name={name}
            className="absolute inset-0 cursor-pointer opacity-0"
            checked={value === option.value}
            onChange={() => onChange(option.value)}
          />
          {option.text}
        </label>
      ))}
    </fieldset>
  );
}
