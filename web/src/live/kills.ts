import { answer, api } from "../api/client";
import type { KillSwitch } from "../api/types";
import type { Source } from "./resource";

/** The kill switches that are pulled, those of the whole desk first. */
export function killsSource(): Source<readonly KillSwitch[]> {
  return {
    topics: ["kill-switches"],
    load: async () => (await answer(api.GET("/api/v1/kill-switches"))).items,
    // The stream only says that something changed, as each sees another part of it: that asks for a snapshot.
    apply: (known) => known,
  };
}
