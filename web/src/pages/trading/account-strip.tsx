import type { ComponentProps } from "react";
import type { AccountSummary } from "../../api/types";
import { money } from "../../format/money";
import { count } from "../../format/quantity";
import { account as accountResource, positions } from "../../live/desk";
import { useResource } from "../../live/resource";
import { Refusal } from "../refusal";
import { Pnl } from "./pnl";
import { Reckoned } from "./reckoned";
import { ofAccount } from "./reckoning";

/** The account in a few numbers. */
export function AccountStrip({ account }: { account: AccountSummary }) {
  const { state, problem, current } = useResource(accountResource(account.id));
  const { state: held } = useResource(positions(account.id));
  const made = state && held && ofAccount(state, held);
  const { currency } = account;
  return (
    <section aria-label="Account" className="flex flex-col gap-2">
      {problem && !state && <Refusal problem={problem} title="The account could not be loaded" />}
      <dl
        className={`grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 lg:grid-cols-6 ${current ? "" : "opacity-70"}`}
      >
        <Stat name="Equity" strong of={made?.equity ?? "value"} currency={currency}>
          {money(state?.equity, currency)}
        </Stat>
        <Stat name="Cash" of={made?.cash ?? "cash"} currency={currency}>
          {money(state?.cash, currency)}
        </Stat>
        <Stat name="Buying power" of={made?.buyingPower ?? "buying_power"} currency={currency}>
          {money(state?.buying_power, currency)}
        </Stat>
        <Stat name="Unrealised" of={made?.unrealised ?? "unrealised"} currency={currency}>
          <Pnl amount={state?.unrealised_pnl} currency={currency} />
        </Stat>
        <Stat name="Realised" of={made?.realised ?? "realised"} currency={currency}>
          <Pnl amount={state?.realised_pnl} currency={currency} />
        </Stat>
        {state?.requests && (
          <Stat
            name="Broker requests left"
            of="requests_left"
            values={[
              ["Allowed at once", count(state.requests.burst)],
              ["Come back in a minute", count(state.requests.per_minute)],
            ]}
          >
            {count(state.requests.free)}
          </Stat>
        )}
      </dl>
    </section>
  );
}

interface StatProps extends ComponentProps<typeof Reckoned> {
  name: string;
  strong?: boolean;
}

function Stat({ name, strong, ...rest }: StatProps) {
  return (
    <div className="bg-panel px-3 py-2">
      <dt className="text-xs text-muted">{name}</dt>
      <dd
        className={`font-semibold ${strong ? "text-lg leading-6" : "text-[0.9375rem] leading-6"}`}
      >
        <Reckoned {...rest} />
      </dd>
    </div>
  );
}
