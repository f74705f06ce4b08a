import { beforeEach, describe, expect, it } from "vitest";
import { type SocketLike, Stream, type StreamEvent } from "./stream";

/** A socket whose other end is the test. */
class Socket implements SocketLike {
  sent: Record<string, unknown>[] = [];
  closed = false;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.closed = true;
  }
  says(...messages: object[]) {
    for (const message of messages) this.onmessage?.({ data: JSON.stringify(message) });
  }
  breaks() {
    this.onclose?.();
  }
}

/** Time that passes when the test says so. */
class Clock {
  #now = 0;
  #timers: { at: number; act: () => void }[] = [];
  after = (ms: number, act: () => void) => {
    const timer = { at: this.#now + ms, act };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  };
  pass(ms: number) {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter((one) => one.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#now = next.at;
      this.#timers = this.#timers.filter((one) => one !== next);
      next.act();
    }
    this.#now = end;
  }
}

let sockets: Socket[];
let clock: Clock;
let stream: Stream;
let unreachable: number;

const socket = () => sockets[sockets.length - 1] as Socket;
const hello = (epoch = "e1") => ({ type: "hello", epoch, server_at: "2026-11-21T12:00:00Z" });
const event = (topic: string, seq: number) => ({ type: "event", topic, seq, at: "", data: seq });
const subscribed = (topic: string, seq: number, resumed = false) => ({
  type: "subscribed",
  topic,
  seq,
  resumed,
});

function follower() {
  const seen: (number | string)[] = [];
  return {
    seen,
    event: (one: StreamEvent) => seen.push(one.seq),
    stale: () => seen.push("stale"),
    refused: (code: string) => seen.push(code),
  };
}

beforeEach(() => {
  sockets = [];
  clock = new Clock();
  unreachable = 0;
  stream = new Stream({
    open: () => {
      const one = new Socket();
      sockets.push(one);
      return one;
    },
    after: clock.after,
    random: () => 1,
    unreachable: () => {
      unreachable += 1;
    },
  });
});

describe("a connection", () => {
  it("subscribes after the hello, to all topics at once", () => {
    stream.follow("feed", follower());
    stream.follow("trades:BTC-USD", follower());
    stream.start();
    expect(socket().sent).toEqual([]);
    socket().says(hello());
    expect(socket().sent).toEqual([{ action: "subscribe", topics: ["feed", "trades:BTC-USD"] }]);
    expect(stream.connection.get()).toEqual({ step: "open" });
  });

  it("subscribes once for two followers, and leaves with the last", () => {
    stream.start();
    socket().says(hello());
    const [first, second] = [follower(), follower()];
    const leaveFirst = stream.follow("feed", first);
    socket().says(subscribed("feed", 4));
    const leaveSecond = stream.follow("feed", second);
    expect(second.seen).toEqual(["stale"]);
    leaveFirst();
    leaveFirst();
    expect(socket().sent).toEqual([{ action: "subscribe", topics: ["feed"] }]);
    leaveSecond();
    expect(socket().sent[1]).toEqual({ action: "unsubscribe", topics: ["feed"] });
  });

  it("does not care about frames it cannot read", () => {
    const one = follower();
    stream.follow("feed", one);
    stream.start();
    socket().says(hello());
    socket().onmessage?.({ data: "{" });
    socket().onmessage?.({ data: new ArrayBuffer(1) });
    socket().says({ type: "fashion" }, event("another", 1), event("feed", 1));
    expect(one.seen).toEqual([1]);
  });

  it("passes on why a topic is refused", () => {
    const one = follower();
    stream.follow("orders:x", one);
    stream.start();
    socket().says(hello(), { type: "error", code: "forbidden", detail: "no", topic: "orders:x" });
    expect(one.seen).toEqual(["forbidden"]);
  });
});

describe("the numbers of a topic", () => {
  let one: ReturnType<typeof follower>;
  beforeEach(() => {
    one = follower();
    stream.follow("feed", one);
    stream.start();
    socket().says(hello(), subscribed("feed", 10));
    one.seen.length = 0;
  });

  it("run on without a word", () => {
    socket().says(event("feed", 11), event("feed", 12));
    expect(one.seen).toEqual([11, 12]);
  });

  it("repeat nothing", () => {
    socket().says(event("feed", 11), event("feed", 11), event("feed", 10));
    expect(one.seen).toEqual([11]);
  });

  it("show a hole, and the event after it still counts", () => {
    socket().says(event("feed", 11), event("feed", 14), event("feed", 15));
    expect(one.seen).toEqual([11, "stale", 14, 15]);
  });

  it("go on after a gap that the server admits", () => {
    socket().says({ type: "gap", topic: "feed", from_seq: 11, to_seq: 40 }, event("feed", 41));
    expect(one.seen).toEqual(["stale", 41]);
  });
});

describe("after a break", () => {
  let one: ReturnType<typeof follower>;
  beforeEach(() => {
    one = follower();
    stream.follow("feed", one);
    stream.start();
    socket().says(hello(), subscribed("feed", 10), event("feed", 11));
    one.seen.length = 0;
    socket().breaks();
  });

  it("asks to go on after the last event, and replays what was missed", () => {
    clock.pass(500);
    socket().says(hello());
    expect(socket().sent).toEqual([
      { action: "subscribe", topics: ["feed"], resume: { epoch: "e1", after: { feed: 11 } } },
    ]);
    socket().says(subscribed("feed", 13, true), event("feed", 12), event("feed", 13));
    expect(one.seen).toEqual([12, 13]);
  });

  it("wants a snapshot when the server cannot resume", () => {
    clock.pass(500);
    socket().says(hello(), subscribed("feed", 900), event("feed", 901));
    expect(one.seen).toEqual(["stale", 901]);
  });

  it("forgets its numbers when the server was started anew", () => {
    clock.pass(500);
    socket().says(hello("e2"));
    expect(socket().sent).toEqual([{ action: "subscribe", topics: ["feed"] }]);
    socket().says(subscribed("feed", 2), event("feed", 3));
    expect(one.seen).toEqual(["stale", 3]);
  });

  it("waits longer each time, up to a bound, and starts again from the first after a hello", () => {
    const delays: number[] = [];
    for (let i = 0; i < 7; i++) {
      const connection = stream.connection.get();
      if (connection.step !== "waiting") throw new Error(connection.step);
      delays.push(connection.delay_ms);
      clock.pass(connection.delay_ms);
      socket().breaks();
    }
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 15000, 15000]);
    clock.pass(15_000);
    socket().says(hello());
    socket().breaks();
    expect(stream.connection.get()).toMatchObject({ step: "waiting", delay_ms: 500 });
  });

  it("asks whether the session is over only when no hello came", () => {
    expect(unreachable).toBe(0);
    clock.pass(500);
    socket().breaks();
    expect(unreachable).toBe(1);
  });

  it("hears nothing from the socket that was replaced", () => {
    const old = socket();
    clock.pass(500);
    old.says(event("feed", 12));
    old.breaks();
    expect(one.seen).toEqual([]);
    expect(sockets).toHaveLength(2);
  });
});

describe("silence", () => {
  it("is broken by pings, and ends a connection that does not answer them", () => {
    stream.start();
    socket().says(hello());
    clock.pass(10_000);
    expect(socket().sent).toEqual([{ action: "ping" }]);
    socket().says({ type: "pong" });
    clock.pass(24_000);
    expect(stream.connection.get()).toEqual({ step: "open" });
    clock.pass(1_000);
    expect(socket().closed || stream.connection.get().step === "waiting").toBe(true);
    expect(stream.connection.get()).toMatchObject({ step: "waiting" });
  });

  it("while connecting also counts", () => {
    stream.start();
    clock.pass(25_000);
    expect(stream.connection.get()).toMatchObject({ step: "waiting" });
  });
});

describe("an end", () => {
  it("of the session is final", () => {
    stream.start();
    socket().says(hello(), { type: "closing", code: "session_ended" });
    clock.pass(60_000);
    expect(stream.connection.get()).toEqual({ step: "closed", code: "session_ended" });
    expect(sockets).toHaveLength(1);
  });

  it("of the server is not", () => {
    stream.start();
    socket().says(hello(), { type: "closing", code: "shutting_down" });
    socket().breaks();
    clock.pass(500);
    expect(sockets).toHaveLength(2);
  });
});
