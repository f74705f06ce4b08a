import type { ReactNode } from "react";
import type { AccountSummary } from "../../api/types";
import { minus } from "../../format/decimal";
import { money } from "../../format/money";
import { count } from "../../format/quantity";
import { account as accountResource } from "../../live/desk";
import { useResource } from "../../live/resource";
import { Refusal } from "../refusal";
import { Pnl } from "./pnl";
import { Reckoned } from "./reckoned";

/** The account in a few numbers. */
export function AccountStrip({ account }: { account: AccountSummary }) {
  const { state, problem, current } = useResource(accountResource(account.id));
  const amount = (of: string | undefined) => money(of, account.currency);
  return (
    <section aria-label="Account" className="flex flex-col gap-2">
      {problem && !state && <Refusal problem={problem} title="The account could not be loaded" />}
      <dl
        className={`grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 lg:grid-cols-6 ${current ? "" : "opacity-70"}`}
      >
        <Stat
          name="Equity"
          strong
          of="value"
          values={
            state && [
              ["Cash", amount(state.cash)],
              ["Holdings", amount(minus(state.equity, state.cash))],
            ]
          }
        >
          {amount(state?.equity)}
        </Stat>
        <Stat name="Cash" of="cash">
          {amount(state?.cash)}
        </Stat>
        <Stat
          name="Buying power"
          of="buying_power"
          values={
            state && [
              ["Cash", amount(state.cash)],
              ["Reserved", amount(state.reserved)],
            ]
          }
        >
          {amount(state?.buying_power)}
        </Stat>
        <Stat name="Unrealised" of="unrealised">
          <Pnl amount={state?.unrealised_pnl} currency={account.currency} />
        </Stat>
        <Stat name="Realised" of="realised">
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

interface StatProps {
  name: string;
  strong?: boolean;
  /** Which of the desk's formulas it opens. */
  of?: string;
  /** What went into it now. */
  values?: readonly (readonly [name: string, value: ReactNode])[];
  children: ReactNode;
}

function Stat({ name, strong, of, values, children }: StatProps) {
  return (
    <div className="bg-panel px-3 py-2">
      <dt className="text-xs text-muted">{name}</dt>
      <dd
        className={`font-semibold ${strong ? "text-lg leading-6" : "text-[0.9375rem] leading-6"}`}
      >
        {of ? (
          <Reckoned of={of} values={values}>
            {children}
          </Reckoned>
        ) : (
          children
        )}
      </dd>
    </div>
  );
}
