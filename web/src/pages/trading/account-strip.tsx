import type { ReactNode } from "react";
import type { AccountSummary } from "../../api/types";
import { money } from "../../format/money";
import { count } from "../../format/quantity";
import { account as accountResource } from "../../live/desk";
import { useResource } from "../../live/resource";
import { Refusal } from "../refusal";
import { Pnl } from "./pnl";

/** The account in a few numbers. */
export function AccountStrip({ account }: { account: AccountSummary }) {
  const { state, problem, current } = useResource(accountResource(account.id));
  return (
    <section aria-label="Account" className="flex flex-col gap-2">
      {problem && !state && <Refusal problem={problem} title="The account could not be loaded" />}
      <dl
        className={`grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 lg:grid-cols-6 ${current ? "" : "opacity-70"}`}
      >
        <Stat name="Equity" strong>
          {money(state?.equity, account.currency)}
        </Stat>
        <Stat name="Cash">{money(state?.cash, account.currency)}</Stat>
        <Stat name="Buying power">{money(state?.buying_power, account.currency)}</Stat>
        <Stat name="Unrealised">
          <Pnl amount={state?.unrealised_pnl} currency={account.currency} />
        </Stat>
        <Stat name="Realised">
          <Pnl amount={state?.realised_pnl} currency={account.currency} />
        </Stat>
        {state?.requests && (
          <Stat name="Broker requests left">
            {count(state.requests.free)}
            <span className="text-xs font-normal text-muted">
              {" "}
              of {count(state.requests.burst)}
            </span>
          </Stat>
        )}
      </dl>
    </section>
  );
}

function Stat({ name, strong, children }: { name: string; strong?: boolean; children: ReactNode }) {
  return (
    <div className="bg-panel px-3 py-2">
      <dt className="text-xs text-muted">{name}</dt>
      <dd
        className={`font-semibold ${strong ? "text-lg leading-6" : "text-[0.9375rem] leading-6"}`}
      >
        {children}
      </dd>
    </div>
  );
}
