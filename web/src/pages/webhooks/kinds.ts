import type { EventKind } from "../../api/types";

/** What a webhook can be told, with what it is called. */
export const KINDS: readonly (readonly [EventKind, string])[] = [
  ["order.changed", "An order was accepted, or is in another state"],
  ["order.refused", "An order was refused by a rule"],
  ["fill.booked", "Something was bought or sold"],
  ["account.blind", "The desk does not see an account at its broker"],
  ["account.ready", "It sees the account again"],
  ["kill_switch.engaged", "A kill switch was pulled"],
  ["kill_switch.released", "A kill switch was released"],
  ["approval.waiting", "Something waits for a second person"],
];
