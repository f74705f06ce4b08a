import { expect, it } from "vitest";
import { csv } from "./csv";

it("a table keeps commas, quotes and lines inside their cells", () => {
  expect(csv(["a", "b"], [['x,"y"', "one\ntwo"]])).toBe('a,b\r\n"x,""y""","one\ntwo"\r\n');
});

it("a table has no formulas, but numbers below zero", () => {
  expect(csv(["a"], [["=1+1"], ["-0.5"], ["-x"], [null], ["@sum"]])).toBe(
    "a\r\n'=1+1\r\n-0.5\r\n'-x\r\n\r\n'@sum\r\n",
  );
});
