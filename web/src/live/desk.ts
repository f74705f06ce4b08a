/** The live side of the page: one stream, one frame, one resource for each thing that is shown. */
import { answer, api } from "../api/client";
import type { Every } from "../api/types";
import { accountSource, positionsSource } from "./account";
import { approvalsSource } from "./approvals";
import { barsSource } from "./bars";
import { feedSource } from "./feed";
import { Frame } from "./frame";
import { killsSource } from "./kills";
import { marketSource } from "./market";
import { ordersSource } from "./orders";
import { Resource, type Source } from "./resource";
import { sessionOver } from "./session";
import { type SocketLike, Stream } from "./stream";
import { tapeSource } from "./tape";
import { unknownSource } from "./unknown";

const frame = new Frame((act) => requestAnimationFrame(act));

/** The connection of this page to the desk. */
export const stream = new Stream({
  open: () => new WebSocket(new URL("/api/v1/stream", location.href)) as SocketLike,
  after(ms, act) {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
  // Any call tells whether the session is over; a refused socket looks like a broken one.
  unreachable: () => void answer(api.GET("/api/v1/session")).catch(() => undefined),
});

// Nobody is signed in: what still came would be somebody else's.
sessionOver.subscribe(() => stream.stop());

const resources = new Map<string, Resource<unknown>>();

/** The same resource for the same thing, so that two views share one snapshot. */
function shared<State>(name: string, source: () => Source<State>): Resource<State> {
  let resource = resources.get(name);
  if (!resource) {
    resource = new Resource(stream, frame, source()) as Resource<unknown>;
    resources.set(name, resource);
  }
  return resource as Resource<State>;
}

export const account = (id: string) => shared(`account:${id}`, () => accountSource(id));
export const positions = (id: string) => shared(`positions:${id}`, () => positionsSource(id));
export const orders = (id: string) => shared(`orders:${id}`, () => ordersSource(id));
export const kills = () => shared("kill-switches", killsSource);
export const unknown = (accountIds: readonly string[]) =>
  shared(`unknown:${accountIds.join()}`, () => unknownSource(accountIds));
export const approvals = (accountIds: readonly string[]) =>
  shared(`approvals:${accountIds.join()}`, () => approvalsSource(accountIds));
export const feeds = () => shared("feeds", () => feedSource(() => performance.now()));
export const bars = (symbol: string, every: Every) =>
  shared(`bars:${symbol}:${every}`, () => barsSource(symbol, every));
export const tape = (symbol: string) => shared(`tape:${symbol}`, () => tapeSource(symbol));
export const market = (symbols: readonly string[]) =>
  shared(`market:${symbols.join()}`, () => marketSource(symbols));
