/**
 * Where each number of an account comes from: the desk's formula for it, with what went in.
 *
 * A reckoning takes its numbers from the same answer of the desk as the number itself, so that both are of one moment:
 * what {@link result} makes of it is what is shown.
 */
import type {
  AccountDetail,
  Book,
  EquityPoint,
  Fill,
  LimitInForce,
  OrderPreview,
  OrderRequest,
  Portfolio,
  Position,
} from "../../api/types";
import { minus, over, plus, sign, times } from "../../format/decimal";

/** What is done with what stands above. */
export type Operator = "+" | "−" | "×" | "÷";

/** How an amount is written. */
export type Unit = "money" | "price" | "average" | "quantity" | "share" | "number";

/** One number that goes in; the first has no operator. */
export interface Term {
  name: string;
  /** A decimal; null where it is not known. */
  amount: string | null;
  unit: Unit;
  by?: Operator;
}

/** A number, reckoned from the top to the bottom: each term acts on what those above it make. */
export interface Reckoning {
  /** Which formula it follows. */
  of: string;
  /** What the result is counted in. */
  unit: Unit;
  terms: readonly Term[];
}

/** What the terms make; null when one of them is not known. */
export function result({ terms }: Reckoning): string | null {
  let made: string | null = "0";
  for (const { amount, by = "+" } of terms) {
    if (made === null || amount === null) return null;
    made = ACTS[by](made, amount);
  }
  return made;
}

const ACTS: Record<Operator, (a: string, b: string) => string | null> = {
  "+": plus,
  "−": minus,
  "×": times,
  "÷": over,
};

const term = (by: Operator | undefined, name: string, amount: string | null, unit: Unit): Term => ({
  by,
  name,
  amount,
  unit,
});

/** A sum of money, part by part. */
function sum(of: string, parts: readonly (readonly [name: string, amount: string])[]): Reckoning {
  const terms = parts.map(([name, amount], at) =>
    term(at === 0 ? undefined : "+", name, amount, "money"),
  );
  return { of, unit: "money", terms };
}

/** What several amounts make together. */
export function total(amounts: readonly string[]): string {
  return amounts.reduce(plus, "0");
}

type Earning = Pick<Position, "market_value" | "unrealised_pnl">;
type Held = Pick<Position, "quantity" | "average_price" | "market_price">;

export function marketValue({ quantity, market_price }: Held): Reckoning {
  return {
    of: "market_value",
    unit: "money",
    terms: [
      term(undefined, "Units held", quantity, "quantity"),
      term("×", "Latest price", market_price, "price"),
    ],
  };
}

/** What is held costs what it is worth, less what it has gained since. */
export function averagePriceOf(held: Earning & { quantity: string }): Reckoning {
  const { quantity, market_value, unrealised_pnl } = held;
  const known = market_value !== null && unrealised_pnl !== null;
  return {
    of: "average_price",
    unit: "average",
    terms: [
      term(
        undefined,
        "Cost of the units held",
        known ? minus(market_value, unrealised_pnl) : null,
        "money",
      ),
      term("÷", "Units held", quantity, "quantity"),
    ],
  };
}

export function costOf({ quantity, average_price }: Held): Reckoning {
  return {
    of: "cost",
    unit: "money",
    terms: [
      term(undefined, "Units held", quantity, "quantity"),
      term("×", "Average price", average_price, "average"),
    ],
  };
}

export function unrealisedOf(position: Held): Reckoning {
  return {
    of: "unrealised",
    unit: "money",
    terms: [
      ...marketValue(position).terms,
      term("−", "Cost", times(position.quantity, position.average_price), "money"),
    ],
  };
}

/** What an account or a book has: the names differ, the sums do not. */
interface Owned {
  cash: string;
  realised: string;
  /** Money that came in without a trade, less what went out. */
  flows: string;
  /** What was paid for what is held. */
  cost: string;
  /** Whether it had money before it was first compared with a broker: an account, and its own book. */
  began: boolean;
}

/** The cash by what moved it. What was there before anything moved is what is left. */
function cashOf({ cash, realised, flows, cost, began }: Owned): Reckoning {
  const moved = minus(plus(flows, realised), cost);
  const terms = [
    term(undefined, "Came in, less what went out", flows, "money"),
    term("+", "Realised profit", realised, "money"),
    term("−", "Cost of what is held", cost, "money"),
  ];
  if (began) terms.unshift(term(undefined, "When first compared", minus(cash, moved), "money"));
  return {
    of: "cash",
    unit: "money",
    terms: terms.map((one, at) => (at === 0 ? one : { ...one, by: one.by ?? "+" })),
  };
}

/** The numbers of an account; its positions say what is held. */
export function ofAccount(account: AccountDetail, positions: readonly Position[]) {
  const cost = total(positions.map((one) => one.cost_basis));
  const holdings = minus(account.equity, account.cash);
  return {
    equity: sum("value", [
      ["Cash", account.cash],
      ["Holdings", holdings],
    ]),
    cash: cashOf({
      ...account,
      realised: account.realised_pnl,
      flows: account.deposits,
      cost,
      began: true,
    }),
    buyingPower: buyingPower(account),
    unrealised: {
      of: "unrealised",
      unit: "money",
      terms: [
        term(undefined, "Holdings", holdings, "money"),
        term("−", "Cost of them", cost, "money"),
      ],
    },
    realised: sum(
      "realised",
      positions.map((one) => [one.symbol, one.realised_pnl]),
    ),
  } satisfies Record<string, Reckoning>;
}

/** The numbers of a book. */
export function ofBook(book: Book) {
  const held = book.positions.filter((one) => sign(one.quantity) !== 0);
  const cost = minus(minus(book.equity, book.cash), book.unrealised_pnl);
  const of = (name: string, amount: (one: Book["positions"][number]) => string) =>
    sum(
      name,
      book.positions.map((one) => [one.symbol, amount(one)]),
    );
  return {
    equity: sum("value", [
      ["Cash", book.cash],
      ...held.map(
        (one) => [one.symbol, one.market_value ?? times(one.quantity, one.average_price)] as const,
      ),
    ]),
    cash: cashOf({
      ...book,
      realised: book.realised_pnl,
      flows: book.funded,
      cost,
      began: book.id === null,
    }),
    buyingPower: buyingPower(book),
    realised: of("realised", (one) => one.realised_pnl),
    unrealised: of("unrealised", (one) => one.unrealised_pnl ?? "0"),
  } satisfies Record<string, Reckoning>;
}

function buyingPower({ cash, reserved }: { cash: string; reserved: string }): Reckoning {
  return {
    of: "buying_power",
    unit: "money",
    terms: [
      term(undefined, "Cash", cash, "money"),
      term("−", "Reserved by open orders", reserved, "money"),
    ],
  };
}

/** The numbers of a portfolio as a whole. */
export function ofPortfolio(figures: Portfolio) {
  const bySymbol = (name: string, amount: (one: Portfolio["by_symbol"][number]) => string) =>
    sum(
      name,
      figures.by_symbol.map((one) => [one.symbol, amount(one)]),
    );
  return {
    value: sum(
      "value",
      figures.allocation.map((one) => [one.symbol ?? "Cash", one.value]),
    ),
    cash: cashOf({
      cash: figures.cash,
      realised: figures.realised,
      flows: figures.deposits,
      cost: minus(minus(figures.value, figures.cash), figures.unrealised),
      began: true,
    }),
    realised: bySymbol("realised", (one) => one.realised),
    unrealised: bySymbol("unrealised", (one) => one.unrealised),
    fees: sum(
      "fees",
      figures.by_book.map((one) => [one.book.name, one.fees]),
    ),
  } satisfies Record<string, Reckoning>;
}

export function shareOf(part: string, whole: string): Reckoning {
  return {
    of: "allocation",
    unit: "share",
    terms: [
      term(undefined, "Value of the part", part, "money"),
      term("÷", "Value of the account", whole, "money"),
    ],
  };
}

/** The profit of a symbol, a book or a day. */
export function profitOf(of: string, row: { realised: string; unrealised: string }): Reckoning {
  return sum(of, [
    ["Realised", row.realised],
    ["Unrealised", row.unrealised],
  ]);
}

/** What is held of a symbol, by the price that made its value. */
export function worth({ quantity, value }: { quantity: string; value: string }): Reckoning {
  return {
    of: "market_value",
    unit: "money",
    terms: [
      term(undefined, "Units held", quantity, "quantity"),
      term("×", "Latest price", over(value, quantity) ?? "0", "average"),
    ],
  };
}

/** What was gained on what is held of a symbol: what it is worth, less what it cost. */
export function gained(row: { quantity: string; value: string; unrealised: string }): Reckoning {
  const cost = term("−", "Cost", minus(row.value, row.unrealised), "money");
  return { of: "unrealised", unit: "money", terms: [...worth(row).terms, cost] };
}

/** What was earned over a time that ends now. */
export function earnedOver(profit: string, valueNow: string): Reckoning {
  return {
    of: "profit",
    unit: "money",
    terms: [
      term(undefined, "Value now", valueNow, "money"),
      term("−", "Value then, and paid in since", minus(valueNow, profit), "money"),
    ],
  };
}

export function valueAt(point: EquityPoint): Reckoning {
  return sum("value", [
    ["Cash", point.cash],
    ["Holdings", minus(point.equity, point.cash)],
  ]);
}

/** What was earned since the first point that is shown; money that came or went is no profit. */
export function profitSince(point: EquityPoint, first: EquityPoint): Reckoning {
  return {
    of: "profit",
    unit: "money",
    terms: [
      term(undefined, "Value", point.equity, "money"),
      term("−", "Value at the first point", first.equity, "money"),
      term("−", "Paid in since", minus(point.flows, first.flows), "money"),
    ],
  };
}

/** The numbers of a preview. */
export function ofPreview(preview: OrderPreview, side: OrderRequest["side"]) {
  const { estimated_notional: notional, estimated_fee: fee } = preview;
  return {
    notional: {
      of: "notional",
      unit: "money",
      terms: [
        term(undefined, "Units", preview.quantity, "quantity"),
        term("×", "Estimated price", preview.estimated_price, "price"),
      ],
    },
    fee: {
      of: "estimated_fee",
      unit: "money",
      terms: [
        term(undefined, "Notional", notional, "money"),
        term("×", "Fee rate", over(fee, notional), "share"),
      ],
    },
    total: {
      of: side === "buy" ? "purchase_total" : "sale_total",
      unit: "money",
      terms: [
        term(undefined, "Notional", notional, "money"),
        term(side === "buy" ? "+" : "−", "Fees", fee, "money"),
      ],
    },
    buyingPower: {
      of: "buying_power_after",
      unit: "money",
      terms: [
        term(undefined, "Buying power before", preview.buying_power_before, "money"),
        term(
          "−",
          "Held back for the order",
          minus(preview.buying_power_before, preview.buying_power_after),
          "money",
        ),
      ],
    },
  } satisfies Record<string, Reckoning>;
}

/** What an execution realised. */
export function realisedBy({ realised_pnl, fee }: Fill): Reckoning {
  return {
    of: "realised",
    unit: "money",
    terms: [
      term(undefined, "Profit of what it closed", plus(realised_pnl, fee), "money"),
      term("−", "Its fee", fee, "money"),
    ],
  };
}

/** What the fills of a position or of an order make. */
export function ofFills(fills: readonly Fill[]) {
  const count = `${fills.length} ${fills.length === 1 ? "fill" : "fills"}`;
  const units = total(fills.map((one) => one.quantity));
  const fees = total(fills.map((one) => one.fee));
  const side = (side: Fill["side"]) =>
    total(fills.filter((one) => one.side === side).map((one) => one.quantity));
  return {
    average_price: {
      of: "average_fill",
      unit: "average",
      terms: [
        term(
          undefined,
          `Price × units of ${count}`,
          total(fills.map((one) => times(one.price, one.quantity))),
          "money",
        ),
        term("÷", "Units", units, "quantity"),
      ],
    },
    fees: sum("order_fees", [[`Fees of ${count}`, fees]]),
    filled: {
      of: "filled",
      unit: "quantity",
      terms: [term(undefined, `Units of ${count}`, units, "quantity")],
    },
    held: {
      of: "held",
      unit: "quantity",
      terms: [
        term(undefined, "Bought", side("buy"), "quantity"),
        term("−", "Sold", side("sell"), "quantity"),
      ],
    },
    realised: {
      of: "realised",
      unit: "money",
      terms: [
        term(
          undefined,
          `Profit of what ${count} closed`,
          plus(total(fills.map((one) => one.realised_pnl)), fees),
          "money",
        ),
        term("−", "Their fees", fees, "money"),
      ],
    },
  } satisfies Record<string, Reckoning>;
}

/** How much of a limit is used, as a share of it. */
export function usageOf({ kind, used, value }: LimitInForce): Reckoning {
  const unit = unitOf(kind);
  return {
    of: `used_${kind}`,
    unit: "share",
    terms: [term(undefined, "Used", used, unit), term("÷", "Limit", value, unit)],
  };
}

/** What the limits of a kind are counted in; amounts of money may be in several currencies. */
export function unitOf(kind: string): Unit {
  return UNITS[kind] ?? "number";
}

const UNITS: Record<string, Unit> = { concentration: "share", position_quantity: "quantity" };
