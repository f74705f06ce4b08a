import { beforeEach, describe, expect, it } from "vitest";
import { ProblemError } from "../api/client";
import { Frame } from "./frame";
import { Resource } from "./resource";
import type { Follower, StreamEvent } from "./stream";

type Counted = readonly number[];

let follower: Follower | null;
let follows: number;
let loads: { resolve(state: Counted): void; reject(error: Error): void }[];
let frames: (() => void)[];
let retries: (() => void)[];
let applied: number;
let resource: Resource<Counted>;
let heard: number;

const settle = () => new Promise<void>((resolve) => queueMicrotask(resolve));
const event = (seq: number): StreamEvent => ({ topic: "t", seq, at: "", data: seq });
const draw = () => {
  for (const act of frames.splice(0)) act();
};
const load = async (at: number, state: Counted) => {
  loads[at]?.resolve(state);
  await settle();
};

beforeEach(() => {
  follower = null;
  follows = applied = heard = 0;
  loads = [];
  frames = [];
  retries = [];
  const stream = {
    follow(_topic: string, one: Follower) {
      follower = one;
      follows += 1;
      return () => {
        follower = null;
      };
    },
  };
  const source = {
    topics: ["t"],
    load: () =>
      new Promise<Counted>((resolve, reject) => {
        loads.push({ resolve, reject });
      }),
    apply(state: Counted, events: readonly StreamEvent[]) {
      applied += 1;
      return [...state, ...events.map((one) => one.seq).filter((seq) => seq > (state.at(-1) ?? 0))];
    },
  };
  const frame = new Frame((act) => frames.push(act));
  resource = new Resource(stream, frame, source, (_ms, act) => {
    retries.push(act);
    return () => {
      retries = retries.filter((one) => one !== act);
    };
  });
});

const watch = () =>
  resource.subscribe(() => {
    heard += 1;
  });

describe("a resource", () => {
  it("does nothing until somebody looks, and follows once for two who look", () => {
    expect(follows).toBe(0);
    const first = watch();
    const second = watch();
    expect([follows, loads.length]).toEqual([1, 1]);
    first();
    expect(follower).not.toBeNull();
    second();
    expect(follower).toBeNull();
  });

  it("applies a frame's worth of events at once", async () => {
    watch();
    await load(0, [1]);
    applied = heard = 0;
    for (let seq = 2; seq <= 1000; seq++) follower?.event(event(seq));
    expect(applied).toBe(0);
    draw();
    expect([applied, heard]).toEqual([1, 1]);
    expect(resource.get().state).toHaveLength(1000);
  });

  it("keeps events that come while the snapshot is under way", async () => {
    watch();
    follower?.event(event(5));
    follower?.event(event(6));
    draw();
    expect(resource.get().state).toBeUndefined();
    await load(0, [4, 5]);
    expect(resource.get()).toMatchObject({ state: [4, 5, 6], current: true });
  });

  it("goes on showing and moving while it loads anew, and says that it is not current", async () => {
    watch();
    await load(0, [1]);
    follower?.stale();
    follower?.stale();
    follower?.event(event(9));
    draw();
    expect(loads).toHaveLength(2);
    expect(resource.get()).toMatchObject({ state: [1, 9], current: false });
    follower?.event(event(10));
    await load(1, [1, 2, 9]);
    expect(resource.get()).toMatchObject({ state: [1, 2, 9, 10], current: true });
  });

  it("ignores a snapshot asked for before the gap", async () => {
    watch();
    follower?.stale();
    draw();
    await load(0, [1]);
    expect(resource.get().current).toBe(false);
    await load(1, [1, 2]);
    expect(resource.get()).toMatchObject({ state: [1, 2], current: true });
  });

  it("tries again after a failure, with what it had still on the page", async () => {
    watch();
    await load(0, [1]);
    follower?.stale();
    draw();
    loads[1]?.reject(new Error("no way through"));
    await settle();
    expect(resource.get()).toMatchObject({ state: [1], current: false });
    expect(resource.get().problem?.detail).toBe("no way through");
    retries[0]?.();
    await load(2, [1, 2]);
    expect(resource.get()).toMatchObject({ state: [1, 2], current: true, problem: null });
  });

  it("does not ask again for what is forbidden", async () => {
    watch();
    const problem = { type: "", title: "", detail: "", code: "forbidden", request_id: "" };
    loads[0]?.reject(new ProblemError({ ...problem, status: 403 }));
    await settle();
    expect(resource.get().problem?.code).toBe("forbidden");
    expect(retries).toHaveLength(0);
  });

  it("drops a queue that nobody draws and takes a snapshot instead", async () => {
    watch();
    await load(0, [1]);
    for (let seq = 2; seq <= 6000; seq++) follower?.event(event(seq));
    draw();
    expect(loads).toHaveLength(2);
    await load(1, [6000]);
    expect(resource.get()).toMatchObject({ state: [6000], current: true });
  });

  it("is not believed when it was left and is looked at again", async () => {
    watch()();
    watch();
    await load(1, [3]);
    watch()();
    expect(resource.get().state).toEqual([3]);
  });
});
