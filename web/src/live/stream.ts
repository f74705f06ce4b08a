/**
 * The one socket of the page: subscribe, count, resume.
 *
 * Each topic counts its events; the stream notices what is missing and says so, it never fills in.
 * After a break it asks to go on where it stopped, and tells a topic to start afresh when the server
 * cannot (`resumed: false`), has forgotten events (`gap`) or is another run of the server (`epoch`).
 */
import { createStore, type Store } from "./store";

export interface StreamEvent {
  topic: string;
  seq: number;
  at: string;
  data: unknown;
}

/** One who follows a topic. */
export interface Follower {
  event(event: StreamEvent): void;
  /** What was known may be incomplete: load a snapshot. Also called at the start of a subscription. */
  stale(): void;
  /** The server refuses the topic. */
  refused?(code: string, detail: string): void;
}

/** Where the connection stands. */
export type Connection =
  | { step: "connecting"; attempt: number }
  | { step: "open" }
  | { step: "waiting"; attempt: number; delay_ms: number }
  | { step: "closed"; code: "session_ended" | "stopped" };

/** What the stream needs of the world; given in, so that tests own the socket and the clock. */
export interface World {
  open(): SocketLike;
  /** Calls back after `ms`; the answer cancels it. */
  after(ms: number, act: () => void): () => void;
  /** At least 0, below 1. */
  random(): number;
  /** The connection failed before a hello: perhaps the session is gone, which a socket cannot say. */
  unreachable?(): void;
}

/** The part of `WebSocket` in use. */
export interface SocketLike {
  send(text: string): void;
  close(): void;
  onmessage: ((message: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
const PING_EVERY_MS = 10_000;
const SILENCE_LIMIT_MS = 25_000;

interface Topic {
  followers: Set<Follower>;
  /** Number of the last event seen; null before the server has named one. */
  last: number | null;
}

export class Stream {
  readonly connection: Store<Connection> = createStore<Connection>({
    step: "connecting",
    attempt: 0,
  });

  readonly #world: World;
  readonly #topics = new Map<string, Topic>();
  #socket: SocketLike | null = null;
  #greeted = false;
  #epoch: string | null = null;
  #attempt = 0;
  #cancelRetry: (() => void) | null = null;
  #cancelPing: (() => void) | null = null;
  #cancelSilence: (() => void) | null = null;

  constructor(world: World) {
    this.#world = world;
  }

  /** Opens the connection and keeps it open until {@link stop}. */
  start(): void {
    if (this.#socket || this.#cancelRetry) return;
    this.#connect();
  }

  /** Closes the connection for good. */
  stop(): void {
    this.#end({ step: "closed", code: "stopped" });
  }

  /** Follows a topic; the answer ends it. */
  follow(name: string, follower: Follower): () => void {
    let topic = this.#topics.get(name);
    if (topic) {
      topic.followers.add(follower);
      // Already counted by the server: this follower alone needs its beginning.
      if (topic.last !== null) follower.stale();
    } else {
      topic = { followers: new Set([follower]), last: null };
      this.#topics.set(name, topic);
      if (this.#greeted) this.#send({ action: "subscribe", topics: [name] });
    }
    return () => this.#unfollow(name, follower);
  }

  #unfollow(name: string, follower: Follower): void {
    const topic = this.#topics.get(name);
    if (!topic?.followers.delete(follower) || topic.followers.size > 0) return;
    this.#topics.delete(name);
    if (this.#greeted) this.#send({ action: "unsubscribe", topics: [name] });
  }

  #connect(): void {
    this.#cancelRetry = null;
    this.connection.set({ step: "connecting", attempt: this.#attempt });
    const socket = this.#world.open();
    this.#socket = socket;
    this.#greeted = false;
    // A socket that was replaced may still speak; what it says concerns nobody.
    socket.onmessage = (message) => {
      if (this.#socket === socket) this.#receive(message.data);
    };
    socket.onclose = () => {
      if (this.#socket === socket) this.#lost();
    };
    this.#heard();
  }

  #lost(): void {
    const failedBeforeHello = !this.#greeted;
    this.#drop();
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#attempt);
    // Between half and all of it, so that a thousand pages do not return in the same instant.
    const delay_ms = Math.round(delay * (0.5 + this.#world.random() / 2));
    this.#attempt += 1;
    this.connection.set({ step: "waiting", attempt: this.#attempt, delay_ms });
    this.#cancelRetry = this.#world.after(delay_ms, () => this.#connect());
    if (failedBeforeHello) this.#world.unreachable?.();
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#greeted = false;
    this.#cancelPing?.();
    this.#cancelSilence?.();
    this.#cancelPing = null;
    this.#cancelSilence = null;
    socket?.close();
  }

  #end(connection: Connection): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#drop();
    this.connection.set(connection);
  }

  /** A half-open connection looks like a quiet market; only silence gives it away. */
  #heard(): void {
    this.#cancelSilence?.();
    this.#cancelSilence = this.#world.after(SILENCE_LIMIT_MS, () => this.#lost());
  }

  #pingLater(): void {
    this.#cancelPing = this.#world.after(PING_EVERY_MS, () => {
      this.#send({ action: "ping" });
      this.#pingLater();
    });
  }

  #send(message: object): void {
    this.#socket?.send(JSON.stringify(message));
  }

  #receive(data: unknown): void {
    this.#heard();
    const message = parse(data);
    switch (message?.type) {
      case "hello":
        this.#greet(String(message.epoch));
        break;
      case "subscribed":
        this.#subscribed(String(message.topic), Number(message.seq), message.resumed === true);
        break;
      case "event":
        this.#event(message as unknown as StreamEvent);
        break;
      case "gap":
        this.#gap(String(message.topic), Number(message.to_seq));
        break;
      case "error":
        this.#refused(message);
        break;
      case "closing":
        if (message.code === "session_ended") this.#end({ step: "closed", code: "session_ended" });
        break;
      // A pong, or a kind that a newer server sends: nothing to do.
    }
  }

  #greet(epoch: string): void {
    this.#greeted = true;
    this.#attempt = 0;
    if (epoch !== this.#epoch) {
      // Another run of the server counts from its own beginning.
      for (const topic of this.#topics.values()) topic.last = null;
      this.#epoch = epoch;
    }
    this.connection.set({ step: "open" });
    this.#pingLater();
    if (this.#topics.size === 0) return;
    const after: Record<string, number> = {};
    for (const [name, topic] of this.#topics) if (topic.last !== null) after[name] = topic.last;
    const resume = Object.keys(after).length > 0 ? { resume: { epoch, after } } : {};
    this.#send({ action: "subscribe", topics: [...this.#topics.keys()], ...resume });
  }

  #subscribed(name: string, seq: number, resumed: boolean): void {
    const topic = this.#topics.get(name);
    if (!topic) return;
    // Resumed: the missed events follow, counted on from our own number.
    if (resumed && topic.last !== null) return;
    topic.last = seq;
    for (const follower of topic.followers) follower.stale();
  }

  #event(event: StreamEvent): void {
    const topic = this.#topics.get(event.topic);
    if (!topic) return;
    if (topic.last !== null && event.seq <= topic.last) return;
    const missed = topic.last !== null && event.seq > topic.last + 1;
    topic.last = event.seq;
    for (const follower of [...topic.followers]) {
      if (missed) follower.stale();
      follower.event(event);
    }
  }

  #gap(name: string, to: number): void {
    const topic = this.#topics.get(name);
    if (!topic) return;
    topic.last = Math.max(topic.last ?? 0, to);
    for (const follower of [...topic.followers]) follower.stale();
  }

  #refused(message: Record<string, unknown>): void {
    const topic = this.#topics.get(String(message.topic));
    for (const follower of topic?.followers ?? []) {
      follower.refused?.(String(message.code), String(message.detail));
    }
  }
}

function parse(data: unknown): Record<string, unknown> | null {
  if (typeof data !== "string") return null;
  try {
    const message: unknown = JSON.parse(data);
    return typeof message === "object" && message !== null
      ? (message as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
