import { describe, expect, it } from "vitest";
import type { Bar } from "../api/types";
import { withBars } from "../live/bars";
import { buyShare, pressure } from "./pressure";
import { firstToUpdate } from "./price-chart";

const bar = (second: number, trades = 1): Bar => ({
  start_at: new Date(1_795_262_400_000 + second * 1000).toISOString(),
  open: "1",
  high: "1",
  low: "1",
  close: "1",
  volume: "1",
  vwap: "1",
  trades,
  buy_volume: "1",
  sell_volume: "0",
  buy_trades: 1,
  sell_trades: 0,
  final: false,
});

describe("the share of buyers", () => {
  it.each([
    ["3", "1", 0.75, "buying"],
    ["1", "0", 1, "strong buying"],
    ["0", "2", 0, "strong selling"],
    ["1", "1", 0.5, "balanced"],
    ["0.4", "0.6", 0.4, "selling"],
    ["0", "0", null, "balanced"],
  ])("of %s bought and %s sold is %s, %s", (buy_volume, sell_volume, share, word) => {
    const found = buyShare({ buy_volume, sell_volume });
    expect(found).toBe(share);
    expect(pressure(found)).toBe(word);
  });
});

describe("bars", () => {
  const three = [bar(0), bar(1), bar(2)];

  it("grow at the end and in the last one", () => {
    const grown = withBars(three, [bar(2, 5), bar(3)]);
    expect(grown.map((one) => one.trades)).toEqual([1, 1, 5, 1]);
    expect(firstToUpdate(three, grown)).toBe(2);
  });

  it("do not go back to an older view of the same bar", () => {
    expect(withBars([bar(0, 9)], [bar(0, 3)])[0]?.trades).toBe(9);
  });

  it("take a late one in its place, and are then drawn as a whole", () => {
    const late = withBars([bar(0), bar(2), bar(3)], [bar(1)]);
    expect(late.map((one) => one.start_at)).toEqual([0, 1, 2, 3].map((s) => bar(s).start_at));
    expect(firstToUpdate([bar(0), bar(2), bar(3)], late)).toBeNull();
  });

  it("are drawn as a whole at first and after a new snapshot", () => {
    expect(firstToUpdate([], three)).toBeNull();
    expect(firstToUpdate(three, [bar(0), bar(1), bar(2)])).toBeNull();
  });

  it("stay within a bound, oldest out first, and still only the end is drawn", () => {
    const full = withBars(
      [],
      Array.from({ length: 1500 }, (_, second) => bar(second)),
    );
    const next = withBars(full, [bar(1500)]);
    expect(next).toHaveLength(1500);
    expect(next[0]?.start_at).toBe(bar(1).start_at);
    expect(firstToUpdate(full, next)).toBe(1498);
  });
});
