import { answer, api } from "../api/client";
import type { KillSwitch } from "../api/types";
import type { Source } from "./resource";

/** The kill switches that are pulled, those of the whole desk first. */
export function killsSource(): Source<readonly KillSwitch[]> {
  return {
    topics: ["kill-switches"],
    load: async () => (await answer(api.GET("/api/v1/kill-switches"))).items,
    // An event carries all of them, so the last one is the truth.
    apply: (known, events) =>
      (events.at(-1)?.data as { items: KillSwitch[] } | undefined)?.items ?? known,
  };
}
