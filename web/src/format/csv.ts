/** Tables as files, as spreadsheets read them (RFC 4180). */

/** Starts a formula in a spreadsheet; a number may start with a sign all the same. */
const FORMULA = /^[=+\-@\t\r]/;
const NUMBER = /^[+-]?\d+(\.\d+)?$/;

/**
 * The table as text: header first, lines ended by CRLF.
 *
 * What a spreadsheet would take for a formula gets an apostrophe in front: names and reasons come from people and brokers.
 */
export function csv(
  header: readonly string[],
  rows: readonly (readonly (string | null | undefined)[])[],
): string {
  return [header, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function cell(value: string | null | undefined): string {
  let text = value ?? "";
  if (FORMULA.test(text) && !NUMBER.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
