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
  /** In the place of the unit, what can be pressed: not of the label, as a press there goes to the input. */
  beside?: ReactNode;
  /** What is wrong with it; announced with the field. */
  error?: string | null;
  hint?: ReactNode;
}

/** A labelled input with its unit, hint and error. */
export function Field({
  label,
  unit,
  beside,
  error,
  hint,
  className = "",
  ...rest
}: FieldProps & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  const said = error ? `${id}-error` : hint ? `${id}-hint` : undefined;
  return (
    <div>
      <div className="mb-1 flex items-center justify-between gap-2 text-xs text-muted">
        <label htmlFor={id} className="flex flex-1 justify-between">
          <span>{label}</span>
          {unit && <span>{unit}</span>}
        </label>
        {beside}
      </div>
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
  options: readonly {
    value: T;
    text: string;
    look?: string;
    /** Why it cannot be chosen now. */
    lack?: string | null;
  }[];
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
          title={option.lack ?? undefined}
          className={`relative flex min-h-11 flex-1 items-center justify-center rounded px-2.5 font-medium whitespace-nowrap has-focus-visible:outline-2 has-focus-visible:outline-accent sm:min-h-8 ${
            value === option.value
              ? (option.look ?? "bg-raised text-ink shadow-sm ring-1 ring-line-strong/50")
              : option.lack
                ? "text-muted/60 line-through"
                : "cursor-pointer text-muted hover:text-ink"
          }`}
        >
          <input
            type="radio"
            name={name}
            className="absolute inset-0 cursor-[inherit] opacity-0"
            disabled={option.lack != null}
            checked={value === option.value}
            onChange={() => onChange(option.value)}
          />
          {option.text}
        </label>
      ))}
    </fieldset>
  );
}

interface CheckBoxProps {
  checked: boolean;
  onChange(checked: boolean): void;
  disabled?: boolean;
  hint?: ReactNode;
  children: ReactNode;
}

/** Yes or no, with its words beside it. */
export function CheckBox({ checked, onChange, disabled, hint, children }: CheckBoxProps) {
  const id = useId();
  return (
    <div>
      <label
        className={`flex min-h-11 items-center gap-2.5 sm:min-h-7 ${disabled ? "text-muted" : ""}`}
      >
        <input
          type="checkbox"
          className="size-4 shrink-0 accent-accent"
          checked={checked}
          disabled={disabled}
          aria-describedby={hint ? id : undefined}
          onChange={(event) => onChange(event.target.checked)}
        />
        <span>{children}</span>
      </label>
      {hint && (
        <p id={id} className="pl-6.5 text-xs text-muted">
          {hint}
        </p>
      )}
    </div>
  );
}
