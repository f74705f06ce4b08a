import { describe, expect, it } from "vitest";
import type { Feed } from "../api/types";
import { feedView, STALE_AFTER_MS } from "./feed";
import type { Connection } from "./stream";

const open: Connection = { step: "open" };
const heard = (state: Feed["state"], age_ms: number | null, heard_ms = 1000) => ({
  feed: { name: "sandbox", state, age_ms } as Feed,
  heard_ms,
});

describe("the feed in the header", () => {
  it("ages between reports", () => {
    expect(feedView(heard("live", 100), open, 1400)).toEqual({
      tone: "good",
      word: "live",
      age_ms: 500,
    });
  });

  it("turns stale by itself when nothing is heard of it", () => {
    const view = feedView(heard("live", 0), open, 1001 + STALE_AFTER_MS);
    expect(view).toMatchObject({ tone: "warn", word: "stale" });
  });

  it("is not called live over a broken connection", () => {
    const view = feedView(heard("live", 0), { step: "waiting", attempt: 1, delay_ms: 1 }, 1100);
    expect(view).toMatchObject({ tone: "bad", word: "not updating", age_ms: 100 });
  });

  it("says what the desk says when the feed is not live", () => {
    expect(feedView(heard("down", null), open, 9000)).toEqual({
      tone: "bad",
      word: "down",
      age_ms: null,
    });
    expect(feedView(undefined, open, 0).word).toBe("no feed");
  });
});
