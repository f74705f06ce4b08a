import { useQuery } from "@tanstack/react-query";
import { answer, api } from "../../api/client";
import type { Formula } from "../../api/types";
import { sessionQuery } from "../session";

/** How the desk reckons a number, in its own words; undefined until they are known. */
export function useFormula(): (id: string) => Formula | undefined {
  const { data } = useQuery({
    queryKey: ["formulas"],
    queryFn: async ({ client }) => {
      // They are the same for every account, and change with the desk only.
      const [account] = (await client.ensureQueryData(sessionQuery)).accounts;
      if (!account) return [];
      const params = { path: { id: account.id } };
      return (await answer(api.GET("/api/v1/accounts/{id}/portfolio", { params }))).formulas;
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (name) => OF_PARTS.find((one) => one.id === name) ?? data?.find((one) => one.id === name);
}

const FILLS = "The fills of the journal, as they stand after the broker's corrections.";
const REACH =
  "Positions and open orders of what the limit is set on; prices: the last trade of the feed.";
const ORDERS = "The journal of the desk.";

/**
 * How parts of the desk's figures are reckoned: of one position, one order, one limit. The desk's own list has the figures
 * of accounts, books and portfolios.
 */
const OF_PARTS: readonly Formula[] = [
  {
    id: "held",
    title: "Units held",
    formula: "units bought - units sold; below zero is short",
    inputs: FILLS,
  },
  {
    id: "market_price",
    title: "Market price",
    formula: "price of the last trade",
    inputs: "The feed, as the chart shows it.",
  },
  {
    id: "market_value",
    title: "Market value",
    formula: "units held x latest price; what has no price counts at its cost",
    inputs: "Units: the fills. Price: the last trade of the feed.",
  },
  {
    id: "cost",
    title: "Cost",
    formula: "units held x average price, without fees",
    inputs: FILLS,
  },
  {
    id: "estimated_price",
    title: "Estimated price",
    formula:
      "to buy the ask, to sell the bid, or the limit price where that is better for the market; a stop counts at its stop price",
    inputs: "The quote that is shown below it.",
  },
  {
    id: "units_for_amount",
    title: "Units for the amount",
    formula: "amount / estimated price, rounded down to what can be traded",
    inputs: "The amount asked for, and the quote.",
  },
  {
    id: "notional",
    title: "Notional",
    formula: "units x estimated price",
    inputs: "The order, and the quote.",
  },
  {
    id: "estimated_fee",
    title: "Fees",
    formula: "notional x fee rate of the account",
    inputs: "The fee rate is set for the account's broker.",
  },
  {
    id: "purchase_total",
    title: "Estimated total",
    formula: "notional + fees: what the purchase costs",
    inputs: "The lines above.",
  },
  {
    id: "sale_total",
    title: "Estimated total",
    formula: "notional - fees: what the sale brings",
    inputs: "The lines above.",
  },
  {
    id: "buying_power_after",
    title: "Buying power after it",
    formula:
      "buying power - what is held back for the order: its units at the worst price to expect, with the fee; nothing for a sale of what is held",
    inputs: "Cash and open orders of the account.",
  },
  {
    id: "filled",
    title: "Filled",
    formula: "sum of the units of the order's fills",
    inputs: FILLS,
  },
  {
    id: "average_fill",
    title: "Average fill price",
    formula: "sum of (price x units) over the order's fills / their units",
    inputs: FILLS,
  },
  {
    id: "order_fees",
    title: "Fees of the order",
    formula: "sum of the fees of the order's fills",
    inputs: FILLS,
  },
  {
    id: "fill_fee",
    title: "Fee",
    formula: "what the broker took for this execution; below zero is a rebate",
    inputs: "The broker's report of the execution.",
  },
  {
    id: "requests_left",
    title: "Broker requests left",
    formula: "requests allowed at once - those sent; they come back evenly over the minute",
    inputs: "The broker's rate limit, and what the desk has sent.",
  },
  ...(
    [
      [
        "position_quantity",
        "units held, were all open orders of one side filled, of the symbol with most",
      ],
      [
        "position_notional",
        "worth of what is held, were all open orders of one side filled, of the symbol with most",
      ],
      [
        "gross_exposure",
        "sum over symbols of the worth of what is held, were the worse side of its open orders filled",
      ],
      [
        "net_exposure",
        "worth of long less worth of short positions, were all open orders of one side filled",
      ],
      ["concentration", "worth in the symbol with most / equity"],
      ["leverage", "gross exposure / equity"],
      ["daily_loss", "loss since 00:00 UTC, realised and unrealised; 0 with a profit"],
      ["drawdown", "highest profit so far - profit now"],
      ["orders_per_minute", "orders of the last 60 seconds"],
      ["orders_per_day", "orders since 00:00 UTC"],
      ["open_orders", "orders that are open now"],
    ] as const
  ).map(([kind, used]) => ({
    id: `used_${kind}`,
    title: "How much of the limit is used",
    formula: `(${used}) / limit`,
    inputs: kind.startsWith("orders") || kind === "open_orders" ? ORDERS : REACH,
  })),
];
