/**
 * Decimals as they travel: strings such as `61837.63`. Nothing here goes through a float, as a float
 * would round what an order says.
 */

const SHAPE = /^([+-]?)(\d+)(?:\.(\d+))?$/;

interface Parts {
  negative: boolean;
  whole: string;
  fraction: string;
}

function parts(text: string): Parts | null {
  const found = SHAPE.exec(text.trim());
  if (!found) return null;
  const whole = (found[2] ?? "0").replace(/^0+(?=\d)/, "");
  const fraction = found[3] ?? "";
  const zero = /^0*$/.test(whole + fraction);
  return { negative: found[1] === "-" && !zero, whole, fraction };
}

/** Whether the text is a plain decimal above zero, as prices and quantities of an order are. */
export function isPositiveDecimal(text: string): boolean {
  return parts(text) !== null && sign(text) === 1;
}

/** -1, 0 or 1; 0 also for what is no decimal. */
export function sign(text: string): -1 | 0 | 1 {
  const found = parts(text);
  if (!found || /^0*$/.test(found.whole + found.fraction)) return 0;
  return found.negative ? -1 : 1;
}

/** The number of digits after the point that matter: 2 for `0.01`, 2 for `0.0100`, 0 for `1`. */
export function scale(text: string): number {
  return (parts(text)?.fraction ?? "").replace(/0+$/, "").length;
}

/**
 * The same value with thousands separated, at least `least` and at most `most` digits after the point.
 * Digits beyond `most` are rounded half away from zero. What is no decimal comes back as it was.
 */
export function group(text: string, least: number, most: number = least): string {
  const found = parts(text);
  if (!found) return text;
  let { whole, fraction } = found;
  if (fraction.length > most) {
    const up = (fraction[most] ?? "0") >= "5";
    const kept = BigInt(whole + fraction.slice(0, most)) + (up ? 1n : 0n);
    const digits = kept.toString().padStart(most + 1, "0");
    whole = most === 0 ? digits : digits.slice(0, -most);
    fraction = most === 0 ? "" : digits.slice(-most);
  }
  fraction = fraction.replace(/0+$/, "").padEnd(least, "0");
  const minus = found.negative && /[1-9]/.test(whole + fraction) ? "\u2212" : "";
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return `${minus}${grouped}${fraction === "" ? "" : `.${fraction}`}`;
}

/** The exact sum of two decimals; what is no decimal counts as 0. */
export function plus(a: string, b: string): string {
  const digits = Math.max(scale(a), scale(b));
  const sum = units(a, digits) + units(b, digits);
  const text = (sum < 0n ? -sum : sum).toString().padStart(digits + 1, "0");
  const whole = digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
  return sum < 0n ? `-${whole}` : whole;
}

/** The exact difference of two decimals. */
export function minus(a: string, b: string): string {
  return plus(a, sign(b) < 0 ? b.trim().slice(1) : `-${b.trim().replace(/^\+/, "")}`);
}

/** The decimal counted in units of its last digit that is kept. */
function units(text: string, digits: number): bigint {
  const found = parts(text);
  if (!found) return 0n;
  const count = BigInt(found.whole + found.fraction.slice(0, digits).padEnd(digits, "0"));
  return found.negative ? -count : count;
}
