import type { ReactNode } from "react";
import type { AccountSummary } from "../../api/types";
import { money } from "../../format/money";
import { dateTime } from "../../format/time";
import { account as accountResource } from "../../live/desk";
import { useResource } from "../../live/resource";
import { Notice } from "../../ui/surface";
import { Refusal } from "../refusal";
import { Pnl } from "./pnl";

/** The account in five numbers, and loudly when the desk cannot see it. */
export function AccountStrip({ account }: { account: AccountSummary }) {
  const { state, problem, current } = useResource(accountResource(account.id));
  const blind = state?.state === "blind";
  return (
    <section aria-label="Account" className="flex flex-col gap-2">
      {blind && (
        <Notice
          tone="bad"
          urgent
          title={`BLIND: the desk cannot see ${account.name} at the broker`}
        >
          No orders have been taken since {dateTime(state.blind_since_at)}.{" "}
          {state.blind_reason ?? "The reason is not known yet."}
        </Notice>
      )}
      {problem && !state && <Refusal problem={problem} title="The account could not be loaded" />}
      <dl
        className={`grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 lg:grid-cols-5 ${current ? "" : "opacity-70"}`}
      >
        <Stat name="Equity" strong>
          {money(state?.equity, account.currency)}
        </Stat>
        <Stat name="Cash">{money(state?.cash, account.currency)}</Stat>
        <Stat name="Buying power">{money(state?.buying_power, account.currency)}</Stat>
        <Stat name="Unrealised">
          <Pnl amount={state?.unrealised_pnl} currency={account.currency} />
        </Stat>
        <Stat name="Realised" last>
          <Pnl amount={state?.realised_pnl} currency={account.currency} />
        </Stat>
      </dl>
    </section>
  );
}

function Stat({
  name,
  strong,
  last,
  children,
}: {
  name: string;
  strong?: boolean;
  last?: boolean;
  children: ReactNode;
}) {
  return (
    <div
      className={`bg-panel px-3 py-2 ${strong ? "max-sm:col-span-2" : ""} ${last ? "sm:max-lg:col-span-2" : ""}`}
    >
      <dt className="text-xs text-muted">{name}</dt>
      <dd
        className={`font-semibold ${strong ? "text-lg leading-6" : "text-[0.9375rem] leading-6"}`}
      >
        {children}
      </dd>
    </div>
  );
}
