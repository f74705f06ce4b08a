import { useNavigate, useSearch } from "@tanstack/react-router";
import type { AccountSummary, Every } from "../../api/types";
import { sign } from "../../format/decimal";
import { orders, positions } from "../../live/desk";
import { isOpen } from "../../live/orders";
import { useResource } from "../../live/resource";
import { Tabs } from "../../ui/tabs";
import { BarsTable } from "../market/bars-table";
import { OpenOrders } from "./open-orders";
import { Positions } from "./positions";

interface BelowProps {
  account: AccountSummary | undefined;
  symbol: string;
  every: Every;
}

/** The tables below the chart: what is open, what is held, and the chart's own numbers. */
export default function Below({ account, symbol, every }: BelowProps) {
  const { tab = account ? "orders" : "bars" } = useSearch({ from: "/" });
  const navigate = useNavigate({ from: "/" });
  const bars = {
    value: "bars",
    text: "Bars",
    content: <BarsTable symbol={symbol} every={every} />,
  };
  return (
    <div className="min-w-0 rounded-lg border border-line bg-panel">
      <Tabs
        label="Below the chart"
        value={tab}
        onChange={(next) => navigate({ search: (old) => ({ ...old, tab: next as typeof tab }) })}
        tabs={account ? [...accountTabs(account), bars] : [bars]}
      />
    </div>
  );
}

function accountTabs(account: AccountSummary) {
  return [
    {
      value: "orders",
      text: <OpenCount account={account} />,
      content: <OpenOrders account={account} />,
    },
    {
      value: "positions",
      text: <HeldCount account={account} />,
      content: <Positions account={account} />,
    },
  ];
}

function OpenCount({ account }: { account: AccountSummary }) {
  const { state } = useResource(orders(account.id));
  return <Counted text="Open orders" count={state?.filter(isOpen).length} />;
}

function HeldCount({ account }: { account: AccountSummary }) {
  const { state } = useResource(positions(account.id));
  return (
    <Counted text="Positions" count={state?.filter((one) => sign(one.quantity) !== 0).length} />
  );
}

function Counted({ text, count }: { text: string; count: number | undefined }) {
  return (
    <>
      {text}
      {count !== undefined && (
        <span className="rounded-full bg-raised px-1.5 text-2xs text-muted">{count}</span>
      )}
    </>
  );
}
