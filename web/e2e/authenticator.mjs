// An authenticator app: the codes of RFC 6238 for a key, each given out once.
import { createHmac } from "node:crypto";
import { until } from "./browser.mjs";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const STEP_MS = 30_000;

/** The app that was given `key` (base 32, with or without blanks). */
export function authenticator(key) {
  const bits = [...key.replaceAll(" ", "")]
    .map((letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, "0"))
    .join("");
  const secret = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const now = () => Math.floor(Date.now() / STEP_MS);
  let last = 0;
  return {
    /**
     * A code that was not used yet. The desk takes those of the step before and after too, so that three of them can be
     * had at once; a fourth is waited for.
     */
    async code() {
      const step = Math.max(last + 1, now() - 1);
      await until(() => step <= now() + 1, "the next code", 2 * STEP_MS);
      last = step;
      return codeOf(secret, step);
    },
  };
}

function codeOf(secret, step) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const hash = createHmac("sha1", secret).update(counter).digest();
  const number = hash.readUInt32BE(hash[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}
