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
