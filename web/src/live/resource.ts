import { useEffect, useSyncExternalStore } from "react";
import { problemOf } from "../api/client";
import type { Problem } from "../api/types";
import type { Frame } from "./frame";
import type { Stream, StreamEvent } from "./stream";

/** How a piece of the desk is loaded and kept current. */
export interface Source<State> {
  topics: readonly string[];
  /** A whole snapshot by REST. */
  load(): Promise<State>;
  /**
   * The state after some events, oldest first. Must ignore an event older than what the state shows:
   * a snapshot may be newer than events that were under way beside it.
   */
  apply(state: State, events: readonly StreamEvent[]): State;
}

/** What is known, and whether it can be believed. */
export interface Known<State> {
  /** Undefined before the first snapshot. */
  state: State | undefined;
  /** False while a snapshot is wanted: what is shown may be missing events. */
  current: boolean;
  /** Why the last snapshot failed. */
  problem: Problem | null;
}

/** More events than this in one frame (a hidden tab draws none) are dropped for a new snapshot. */
const QUEUE_BOUND = 5_000;
const RETRY_MS = 2_000;

/**
 * A snapshot and the events after it, while anybody looks.
 *
 * Events are queued and applied once a frame. Those that arrive while a snapshot loads are applied
 * to the old state, so that nothing freezes, and again to the new one.
 */
export class Resource<State> {
  readonly #stream: Pick<Stream, "follow">;
  readonly #frame: Frame;
  readonly #source: Source<State>;
  readonly #retry: (ms: number, act: () => void) => () => void;
  readonly #listeners = new Set<() => void>();
  #known: Known<State> = { state: undefined, current: false, problem: null };
  #queue: StreamEvent[] = [];
  /** Events since the snapshot under way was asked for. */
  #since: StreamEvent[] = [];
  #loading = 0;
  #unfollow: (() => void)[] = [];
  #cancelRetry: (() => void) | null = null;

  constructor(
    stream: Pick<Stream, "follow">,
    frame: Frame,
    source: Source<State>,
    retry: (ms: number, act: () => void) => () => void = afterTimeout,
  ) {
    this.#stream = stream;
    this.#frame = frame;
    this.#source = source;
    this.#retry = retry;
  }

  get = (): Known<State> => this.#known;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#begin();
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#finish();
    };
  };

  #begin(): void {
    // Loads at once: a socket that cannot connect must not keep the page empty.
    this.#load();
    this.#unfollow = this.#source.topics.map((topic) =>
      this.#stream.follow(topic, {
        event: (event) => this.#event(event),
        stale: () => this.#doubt(),
        refused: (code, detail) =>
          this.#tell({
            ...this.#known,
            current: false,
            problem: {
              type: "",
              title: "Not allowed to follow",
              status: 403,
              code,
              detail,
              request_id: "",
            },
          }),
      }),
    );
  }

  #finish(): void {
    for (const unfollow of this.#unfollow) unfollow();
    this.#unfollow = [];
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#loading += 1;
    this.#queue = [];
    this.#since = [];
    // Kept to show at once when somebody looks again, but no longer believed.
    this.#known = { ...this.#known, current: false };
  }

  /** Ten topics that start afresh together want one snapshot, not ten. */
  #doubt(): void {
    if (this.#known.current) this.#tell({ ...this.#known, current: false });
    this.#frame.next(this.#reload);
  }

  #load(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    // The number tells a snapshot asked for before a gap from the one asked for after it.
    this.#loading += 1;
    const asked = this.#loading;
    this.#since = [];
    this.#source.load().then(
      (state) => {
        if (asked !== this.#loading) return;
        const since = this.#since;
        this.#since = [];
        this.#queue = [];
        this.#tell({ state: this.#source.apply(state, since), current: true, problem: null });
      },
      (error: unknown) => {
        if (asked !== this.#loading) return;
        const problem = problemOf(error);
        this.#tell({ ...this.#known, current: false, problem });
        // What is forbidden or not there stays so; only silence and trouble are worth asking again.
        if (problem.status === 0 || problem.status === 429 || problem.status >= 500)
          this.#cancelRetry = this.#retry(RETRY_MS, () => this.#load());
      },
    );
  }

  #event(event: StreamEvent): void {
    if (this.#queue.length >= QUEUE_BOUND || this.#since.length >= QUEUE_BOUND) {
      this.#queue = [];
      this.#since = [];
      this.#doubt();
      return;
    }
    if (!this.#known.current) this.#since.push(event);
    this.#queue.push(event);
    this.#frame.next(this.#drain);
  }

  #reload = (): void => {
    if (this.#listeners.size > 0) this.#load();
  };

  #drain = (): void => {
    const events = this.#queue;
    this.#queue = [];
    if (events.length === 0 || this.#known.state === undefined) return;
    const state = this.#source.apply(this.#known.state, events);
    if (state !== this.#known.state) this.#tell({ ...this.#known, state });
  };

  #tell(known: Known<State>): void {
    this.#known = known;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** A resource in a component: followed while the component is on the page. */
export function useResource<State>(resource: Resource<State>): Known<State> {
  return useSyncExternalStore(resource.subscribe, resource.get);
}

/** Calls back with every change, for what draws by itself (charts) and should not render. */
export function useResourceEffect<State>(
  resource: Resource<State>,
  act: (known: Known<State>) => void,
): void {
  useEffect(() => {
    act(resource.get());
    return resource.subscribe(() => act(resource.get()));
  }, [resource, act]);
}

function afterTimeout(ms: number, act: () => void): () => void {
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
}
