import { answer, api } from "../api/client";
import type { UnknownOrder } from "../api/types";
import type { Source } from "./resource";

/** The orders of some accounts whose outcome nobody knows, longest unknown first. */
export function unknownSource(accountIds: readonly string[]): Source<readonly UnknownOrder[]> {
  return {
    topics: accountIds.map((id) => `unknown:${id}`),
    load: async () => sorted((await answer(api.GET("/api/v1/orders/unknown"))).items),
    apply(known, events) {
      let all = known;
      for (const { topic, data } of events) {
        // An event carries all of its account.
        const account = topic.slice(topic.indexOf(":") + 1);
        const others = all.filter((one) => one.order.account_id !== account);
        all = [...others, ...(data as { items: UnknownOrder[] }).items];
      }
      return sorted(all);
    },
  };
}

function sorted(list: readonly UnknownOrder[]): readonly UnknownOrder[] {
  return [...list].sort((a, b) => a.since_at.localeCompare(b.since_at));
}
