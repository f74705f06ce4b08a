/** What the desk wrote down as a part of a sentence, as a sentence: `it did not answer` is `It did not answer.` */
export function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?)]$/.test(begun) || begun === "" ? begun : `${begun}.`;
}
