import { useQuery } from "@tanstack/react-query";
import { answer, api } from "../../api/client";
import type { Support, Venue } from "../../api/types";

/** What the account's broker can do; undefined until it is known, and the desk decides in any case. */
export function useVenue(accountId: string): Venue | undefined {
  return useQuery({
    queryKey: ["venue", accountId],
    queryFn: () =>
      answer(api.GET("/api/v1/accounts/{id}/venue", { params: { path: { id: accountId } } })),
    // It changes only when the desk starts anew.
    staleTime: 600_000,
  }).data;
}

type Kinds = "types" | "times_in_force" | "classes" | "features";

/** Who does a thing for the account. What is not known is offered: the desk refuses with its reason. */
export function support(venue: Venue | undefined, kinds: Kinds, name: string): Support {
  const found = venue?.[kinds].find((one) => one.name === name);
  return found ?? { name, way: "broker", reason: null };
}

/** Why a thing cannot be chosen; null when it can. */
export function lack(venue: Venue | undefined, kinds: Kinds, name: string): string | null {
  const { way, reason } = support(venue, kinds, name);
  return way === "no" ? (reason ?? "The broker does not do this.") : null;
}
