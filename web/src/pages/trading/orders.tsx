import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { unknown } from "../../live/desk";
import { loadSymbols } from "../../live/market";
import { useResource } from "../../live/resource";
import { Select } from "../../ui/controls";
import { Empty, Panel, Tag } from "../../ui/surface";
import { Tabs } from "../../ui/tabs";
import { useAccount, useAccountIds } from "../session";
import { Fills } from "./fills";
import { OrderHistory } from "./order-history";
import { UnknownOrders } from "./unknown-orders";

/** Every order of the account and every fill, newest first, and what nobody knows the end of. */
export function Orders() {
  const account = useAccount();
  const { tab = "orders" } = useSearch({ from: "/orders" });
  const navigate = useNavigate({ from: "/orders" });
  if (!account) return <Empty>No account is granted to you.</Empty>;
  return (
    <Panel title={<h1>Orders of {account.name}</h1>} aside={tab !== "unknown" && <Filters />}>
      <Tabs
        label="Orders and fills"
        value={tab}
        onChange={(next) => navigate({ search: (old) => ({ ...old, tab: next as typeof tab }) })}
        tabs={[
          { value: "orders", text: "Orders", content: <OrderHistory account={account} /> },
          { value: "fills", text: "Fills", content: <Fills account={account} /> },
          { value: "unknown", text: <UnknownCount />, content: <UnknownOrders /> },
        ]}
      />
    </Panel>
  );
}

function UnknownCount() {
  const count = useResource(unknown(useAccountIds())).state?.length ?? 0;
  return (
    <>
      Not known
      {count > 0 && <Tag tone="warn">{count}</Tag>}
    </>
  );
}

function Filters() {
  const { status = "all", symbol = "", tab } = useSearch({ from: "/orders" });
  const navigate = useNavigate({ from: "/orders" });
  const symbols = useQuery({ queryKey: ["symbols"], queryFn: loadSymbols }).data ?? [];
  return (
    <div className="flex gap-2">
      {tab !== "fills" && (
        <Select
          bare
          label="Status"
          value={status}
          onChange={(event) =>
            navigate({ search: (old) => ({ ...old, status: event.target.value as typeof status }) })
          }
        >
          <option value="all">All</option>
          <option value="open">Open</option>
          <option value="closed">Closed</option>
        </Select>
      )}
      <Select
        bare
        label="Symbol"
        value={symbol}
        onChange={(event) =>
          navigate({ search: (old) => ({ ...old, symbol: event.target.value || undefined }) })
        }
      >
        <option value="">Every symbol</option>
        {symbols.map((one) => (
          <option key={one.symbol}>{one.symbol}</option>
        ))}
      </Select>
    </div>
  );
}
