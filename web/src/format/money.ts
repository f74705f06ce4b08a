import { group, scale, sign } from "./decimal";

const SYMBOLS: Record<string, string> = { USD: "$", EUR: "€", GBP: "£", INR: "₹" };

/** What stands where a value is not known; never 0, which is a value. */
export const UNKNOWN = "–";

/** An amount with its currency, to the cent: `$1,234.50`. */
export function money(amount: string | null | undefined, currency = "USD"): string {
  if (amount == null) return UNKNOWN;
  return withCurrency(group(amount, 2), currency);
}

/** An amount with a sign in front also when it is a gain: `+$12.00`, `−$3.10`, `$0.00`. */
export function signedMoney(amount: string | null | undefined, currency = "USD"): string {
  if (amount == null) return UNKNOWN;
  const text = group(amount, 2);
  const plus = sign(amount) > 0 && /[1-9]/.test(text) ? "+" : "";
  return plus + withCurrency(text, currency);
}

/** A price with as many digits as its increment has, and more if the price itself has more. */
export function price(value: string | null | undefined, increment = "0.01"): string {
  if (value == null) return UNKNOWN;
  const digits = scale(increment);
  return group(value, digits, Math.max(digits, 8));
}

/** A price that was reckoned: to eight digits in all, as more are not known of any price. */
export function averagePrice(value: string | null | undefined): string {
  if (value == null) return UNKNOWN;
  const whole = value.replace(/^-/, "").split(".")[0]?.replace(/^0+/, "").length ?? 0;
  return group(value, 2, Math.max(2, 8 - whole));
}

function withCurrency(text: string, currency: string): string {
  const symbol = SYMBOLS[currency];
  if (!symbol) return `${text} ${currency}`;
  return text.startsWith("\u2212") ? `\u2212${symbol}${text.slice(1)}` : `${symbol}${text}`;
}
