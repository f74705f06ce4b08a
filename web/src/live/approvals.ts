import { answer, api } from "../api/client";
import type { Approval } from "../api/types";
import type { Source } from "./resource";

/** What waits for a second person, and what was decided lately; newest first. */
export function approvalsSource(accountIds: readonly string[]): Source<readonly Approval[]> {
  return {
    topics: accountIds.map((id) => `approvals:${id}`),
    load: async () => (await answer(api.GET("/api/v1/approvals"))).items,
    apply(known, events) {
      const byId = new Map(known.map((one) => [one.id, one]));
      for (const { data } of events)
        for (const one of (data as { items: Approval[] }).items) byId.set(one.id, one);
      return [...byId.values()].sort((a, b) => b.asked_at.localeCompare(a.asked_at));
    },
  };
}
