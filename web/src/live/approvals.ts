import { answer, api } from "../api/client";
import type { Approval } from "../api/types";
import type { Source } from "./resource";

/** What waits for a second person, and what was decided lately; newest first. */
export function approvalsSource(accountIds: readonly string[]): Source<readonly Approval[]> {
  return {
    topics: accountIds.map((id) => `approvals:${id}`),
    load: async () => (await answer(api.GET("/api/v1/approvals"))).items,
    // The stream only says that something changed, as each sees another part of it: that asks for a snapshot.
    apply: (known) => known,
  };
}
