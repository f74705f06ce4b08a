import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { answer, api, problemOf } from "../../api/client";
import type { AccountSummary } from "../../api/types";
import { Panel, Tag } from "../../ui/surface";
import { Refusal } from "../refusal";
import { useMay } from "../session";

/** Who has access to the account, for those who may see people; given and taken on the page of users. */
export function AccountAccess({ account }: { account: AccountSummary }) {
  const may = useMay("users.view");
  const people = useQuery({
    queryKey: ["users", "all"],
    queryFn: () => answer(api.GET("/api/v1/users", { params: { query: { limit: 1000 } } })),
    enabled: may,
  });
  if (!may) return null;
  const granted = (people.data?.items ?? []).flatMap((user) => {
    const grant = user.grants.find((one) => one.account_id === account.id);
    return grant ? [{ user, grant }] : [];
  });
  return (
    <Panel
      title="Who has access"
      aside={
        <Link
          to="/users"
          className="inline-flex min-h-11 items-center font-semibold underline underline-offset-2 sm:min-h-7"
        >
          Grant it on Users
        </Link>
      }
    >
      {people.error && !people.data ? (
        <div className="p-3">
          <Refusal problem={problemOf(people.error)} title="The people could not be loaded" />
        </div>
      ) : (
        <ul className="divide-y divide-line/60 px-3 py-1">
          {granted.map(({ user, grant }) => (
            <li key={user.id} className="flex items-baseline justify-between gap-3 py-1.5">
              <span className="min-w-0 wrap-anywhere">
                {user.display_name} <span className="text-muted">{user.username}</span>
              </span>
              <span className="flex gap-1">
                {grant.live && <Tag tone="warn">real money</Tag>}
                <Tag>{grant.access}</Tag>
              </span>
            </li>
          ))}
          {people.data && granted.length === 0 && (
            <li className="py-1.5 text-muted">Nobody was granted it.</li>
          )}
        </ul>
      )}
    </Panel>
  );
}
