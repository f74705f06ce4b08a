import { age } from "../../format/time";
import { feeds, stream } from "../../live/desk";
import { feedView } from "../../live/feed";
import { useResource } from "../../live/resource";
import { useStore } from "../../live/store";
import type { Connection } from "../../live/stream";
import { useNow } from "./now";

const SHAPES = {
  good: "text-up",
  warn: "text-warn",
  bad: "text-down",
};

/** A disc for good, a triangle for a warning, a square for bad: the shape says it without the colour. */
function Sign({ tone }: { tone: keyof typeof SHAPES }) {
  return (
    <svg
      aria-hidden="true"
      viewBox="0 0 10 10"
      className={`size-2.5 shrink-0 fill-current ${SHAPES[tone]}`}
    >
      {tone === "good" && <circle cx="5" cy="5" r="4" />}
      {tone === "warn" && <path d="M5 .5 9.800 9.500H.2z" />}
      {tone === "bad" && <path d="M1 1h8v8H1z" />}
    </svg>
  );
}

/** The state of the market feed and the age of what it last said, counting while you look. */
export function FeedState() {
  const { state, problem } = useResource(feeds());
  const connection = useStore(stream.connection);
  const now = useNow(250);
  // With several feeds the header shows the one that is worst off.
  const views = (state ?? []).map((one) => ({
    name: one.feed.name,
    ...feedView(one, connection, now),
  }));
  const order = { bad: 0, warn: 1, good: 2 };
  const worst = views.sort((a, b) => order[a.tone] - order[b.tone])[0];
  const view = worst ?? { name: "", ...feedView(undefined, connection, now) };
  const word = !state && !problem ? "loading" : view.word;
  return (
    <p className="flex items-center gap-1.5 whitespace-nowrap" data-feed-state={word}>
      <Sign tone={view.tone} />
      <span>
        <span className="text-muted">Feed</span> {word}
      </span>
      <span className="min-w-10 text-muted">{view.age_ms === null ? "" : age(view.age_ms)}</span>
    </p>
  );
}

function connectionView(connection: Connection): [tone: keyof typeof SHAPES, word: string] {
  switch (connection.step) {
    case "open":
      return ["good", "connected"];
    case "connecting":
      return ["warn", connection.attempt === 0 ? "connecting" : "reconnecting"];
    case "waiting":
      return ["bad", "disconnected, trying again"];
    case "closed":
      return ["bad", connection.code === "session_ended" ? "signed out" : "closed"];
  }
}

/** Whether this page hears the desk. */
export function ConnectionState() {
  const [tone, word] = connectionView(useStore(stream.connection));
  return (
    <p className="flex items-center gap-1.5 whitespace-nowrap" role="status">
      <Sign tone={tone} />
      <span>
        <span className="text-muted max-sm:sr-only">Stream</span> {word}
      </span>
    </p>
  );
}
