import { useQuery } from "@tanstack/react-query";
import { answer, api } from "../../api/client";
import { Field, Select } from "../../ui/controls";
import { useAccount, useMay, useSession } from "../session";
import { useBooks } from "./books-query";

/** Something that a kill switch or a limit can be set on. */
export interface ScopeChoice {
  scope: string;
  text: string;
}

/** What can be chosen, nearest first; `desk` says whether the whole desk and other people may be among it. */
export function useScopes(desk: boolean): readonly ScopeChoice[] {
  const { accounts, user } = useSession();
  const account = useAccount();
  const mayPeople = useMay("users.view") && desk;
  const books = useBooks(account?.id).data?.items ?? [];
  const people = useQuery({
    queryKey: ["users", "as-scopes"],
    queryFn: () => answer(api.GET("/api/v1/users", { params: { query: { limit: 1000 } } })),
    enabled: mayPeople,
  });
  const keys = useQuery({
    queryKey: ["keys"],
    queryFn: () => answer(api.GET("/api/v1/keys")),
  });
  const mine = accounts.filter((one) => one.access !== "view");
  const near = [...mine].sort(
    (a, b) => Number(b.id === account?.id) - Number(a.id === account?.id),
  );
  return [
    ...near.map((one) => ({ scope: `account/${one.id}`, text: `Account ${one.name}` })),
    ...(desk ? [{ scope: "desk", text: "The whole desk" }] : []),
    { scope: `user/${user.id}`, text: "My own orders, on every account" },
    ...books
      .filter((book) => book.id !== null && book.closed_at === null)
      .map((book) => ({ scope: `book/${book.id}`, text: `Book ${book.name}` })),
    ...(keys.data?.items ?? [])
      .filter((key) => key.revoked_at === null)
      .map((key) => ({ scope: `key/${key.id}`, text: `API key ${key.name}` })),
    ...(people.data?.items ?? [])
      .filter((one) => one.id !== user.id && one.status === "active")
      .map((one) => ({ scope: `user/${one.id}`, text: `Everything of ${one.display_name}` })),
  ];
}

const STRATEGY = "strategy/";

interface ScopeSelectProps {
  label: string;
  value: string;
  scopes: readonly ScopeChoice[];
  /** It stays what it is. */
  fixed?: boolean;
  onChange(scope: string): void;
}

/** Chooses among the scopes; a strategy is whatever is called so, and its name is typed. */
export function ScopeSelect({ label, value, scopes, fixed, onChange }: ScopeSelectProps) {
  const strategy = value.startsWith(STRATEGY);
  return (
    <>
      <Select
        label={label}
        value={strategy ? STRATEGY : value}
        disabled={fixed}
        onChange={(event) => onChange(event.target.value)}
      >
        {scopes.map((one) => (
          <option key={one.scope} value={one.scope}>
            {one.text}
          </option>
        ))}
        <option value={STRATEGY}>A strategy, by its name</option>
      </Select>
      {strategy && (
        <Field
          label="Name of the strategy"
          name="strategy"
          maxLength={64}
          disabled={fixed}
          value={value.slice(STRATEGY.length)}
          onChange={(event) => onChange(STRATEGY + event.target.value.trim())}
        />
      )}
    </>
  );
}

/** Whether it is complete: a strategy has a name. */
export function isScope(scope: string): boolean {
  return scope !== STRATEGY;
}
