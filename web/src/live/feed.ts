import { answer, api } from "../api/client";
import type { Feed } from "../api/types";
import type { Source } from "./resource";
import type { Connection } from "./stream";

/** A feed as last reported, and when the report came, on this machine's clock. */
export interface HeardFeed {
  feed: Feed;
  heard_ms: number;
}

/** A live feed older than this is called stale. */
export const STALE_AFTER_MS = 5_000;

/** The feeds of the market. `now` is this machine's monotonic clock in milliseconds. */
export function feedSource(now: () => number): Source<readonly HeardFeed[]> {
  return {
    topics: ["feed"],
    async load() {
      const { feeds } = await answer(api.GET("/api/v1/market/feed"));
      const heard_ms = now();
      return feeds.map((feed) => ({ feed, heard_ms }));
    },
    apply: (feeds, events) => {
      const byName = new Map(feeds.map((one) => [one.feed.name, one]));
      const heard_ms = now();
      for (const event of events) {
        const feed = event.data as Feed;
        byName.set(feed.name, { feed, heard_ms });
      }
      return [...byName.values()];
    },
  };
}

/** What the header says of a feed. */
export interface FeedView {
  tone: "good" | "warn" | "bad";
  word: string;
  /** Milliseconds since the feed's last event; null when nobody can know. */
  age_ms: number | null;
}

/**
 * The state of a feed as it is now, not as it was last reported.
 *
 * The age goes on counting between reports, so a feed of which we hear nothing turns stale by itself.
 */
export function feedView(
  heard: HeardFeed | undefined,
  connection: Connection,
  now: number,
): FeedView {
  if (!heard) return { tone: "warn", word: "no feed", age_ms: null };
  const { feed, heard_ms } = heard;
  const age_ms = feed.age_ms == null ? null : feed.age_ms + Math.max(0, now - heard_ms);
  if (connection.step !== "open") return { tone: "bad", word: "not updating", age_ms };
  if (feed.state === "live" && age_ms !== null && age_ms > STALE_AFTER_MS)
    return { tone: "warn", word: "stale", age_ms };
  const tone = { live: "good", connecting: "warn", stalled: "warn", down: "bad", stopped: "bad" };
  return { tone: tone[feed.state] as FeedView["tone"], word: feed.state, age_ms };
}
