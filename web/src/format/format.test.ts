import { describe, expect, it } from "vitest";
import { group, isPositiveDecimal, minus, plus, scale, sign } from "./decimal";
import { averagePrice, money, price, signedMoney, UNKNOWN } from "./money";
import { count, percent, quantity } from "./quantity";
import { sentence } from "./sentence";
import { age, clock, epochSeconds } from "./time";

describe("decimals", () => {
  it.each([
    ["1234567.5", 2, 2, "1,234,567.50"],
    ["0.00000001", 0, 18, "0.00000001"],
    ["-0.004", 2, 2, "0.00"],
    ["-0.005", 2, 2, "\u22120.01"],
    ["999.995", 2, 2, "1,000.00"],
    ["0.5", 0, 0, "1"],
    ["007.10", 0, 4, "7.1"],
    ["90071992547409931.07", 2, 2, "90,071,992,547,409,931.07"],
    ["12abc", 2, 2, "12abc"],
  ])("group %s to %d..%d digits is %s", (text, least, most, expected) => {
    expect(group(text, least, most)).toBe(expected);
  });

  it.each([
    ["0.01", true],
    ["1", true],
    ["0", false],
    ["0.000", false],
    ["-1", false],
    ["1e5", false],
    ["NaN", false],
    ["Infinity", false],
    ["1,5", false],
    ["", false],
    [".", false],
  ])("%j above zero: %s", (text, expected) => {
    expect(isPositiveDecimal(text)).toBe(expected);
  });

  it("knows the sign of minus nothing", () => {
    expect(sign("-0.00")).toBe(0);
    expect(sign("-0.01")).toBe(-1);
  });

  it("counts only digits that matter", () => {
    expect([scale("0.0100"), scale("1"), scale("0.00000001")]).toEqual([2, 0, 8]);
  });
});

describe("money", () => {
  it("puts the sign before the currency", () => {
    expect(money("-1234.5")).toBe("\u2212$1,234.50");
    expect(signedMoney("12")).toBe("+$12.00");
    expect(signedMoney("0.001")).toBe("$0.00");
    expect(money("5", "XAU")).toBe("5.00 XAU");
  });

  it("says that it does not know rather than zero", () => {
    expect([money(null), signedMoney(undefined), price(null), quantity(null)]).toEqual([
      UNKNOWN,
      UNKNOWN,
      UNKNOWN,
      UNKNOWN,
    ]);
  });

  it("never hides digits of a price", () => {
    expect(price("61837.6", "0.01")).toBe("61,837.60");
    expect(price("61837.6312", "0.01")).toBe("61,837.6312");
  });

  it.each([
    ["63328.61490079", "63,328.615"],
    ["0.159941237891", "0.15994124"],
    ["-3557.04", "\u22123,557.04"],
    ["123456789", "123,456,789.00"],
  ])("writes the average price %s with eight digits as %s", (given, text) => {
    expect(averagePrice(given)).toBe(text);
  });
});

describe("sentences", () => {
  it.each([
    ["it did not answer in time", "It did not answer in time."],
    ["Refused: no funds.", "Refused: no funds."],
    ["", ""],
  ])("makes %j a sentence", (given, text) => {
    expect(sentence(given)).toBe(text);
  });
});

describe("counts, shares and time", () => {
  it("writes them short", () => {
    expect(count(12034)).toBe("12,034");
    expect(percent(0.01234)).toBe("+1.23 %");
    expect(percent(-0.00001)).toBe("0.00 %");
    expect(percent(null)).toBe(UNKNOWN);
  });

  it.each([
    [-5, "0.0 s"],
    [449, "0.4 s"],
    [12_900, "12 s"],
    [180_000, "3 min"],
    [7_300_000, "2 h"],
    [400_000_000, "4 d"],
  ])("an age of %d ms is %s", (ms, expected) => {
    expect(age(ms)).toBe(expected);
  });

  it("reads microseconds", () => {
    expect(epochSeconds("2026-11-21T12:00:01.999999Z")).toBe(1795262401);
    expect(clock("no time")).toBe(UNKNOWN);
  });
});

describe("sums of decimals", () => {
  it.each([
    ["0.1", "0.2", "0.3"],
    ["100000", "-0.01", "99999.99"],
    ["-1.50", "1.5", "0.0"],
    ["90071992547409931.07", "0.01", "90071992547409931.08"],
  ])("%s and %s are exactly %s", (a, b, sum) => expect(plus(a, b)).toBe(sum));

  it.each([
    ["1", "0.9", "0.1"],
    ["1", "-0.5", "1.5"],
    ["-1", "-1", "0"],
    ["0.3", "+0.1", "0.2"],
  ])("%s less %s is exactly %s", (a, b, rest) => expect(minus(a, b)).toBe(rest));
});
