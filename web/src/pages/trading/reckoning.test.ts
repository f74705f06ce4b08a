import { describe, expect, it } from "vitest";
import type {
  AccountDetail,
  Book,
  EquityPoint,
  Fill,
  LimitInForce,
  OrderPreview,
  Portfolio,
  Position,
} from "../../api/types";
import { plus } from "../../format/decimal";
import { makes, written } from "./reckoned";
import {
  averagePriceOf,
  costOf,
  earnedOver,
  gained,
  marketValue,
  ofAccount,
  ofBook,
  ofPortfolio,
  ofPreview,
  profitOf,
  profitSince,
  type Reckoning,
  realisedBy,
  result,
  shareOf,
  unrealisedOf,
  usageOf,
  valueAt,
  worth,
} from "./reckoning";

/** One moment of an account that was opened with 100,000: two positions, one of them short, and one that was closed. */
const BTC: Position = {
  account_id: "a",
  symbol: "BTC-USD",
  quantity: "0.028",
  average_price: "63976.2633333333",
  cost_basis: "1791.335373333333",
  market_price: "64125.52",
  market_value: "1795.51456",
  realised_pnl: "-3.220608016667",
  unrealised_pnl: "4.179186666667",
  as_of_at: "2026-11-21T21:24:47Z",
};
const ETH: Position = {
  ...BTC,
  symbol: "ETH-USD",
  quantity: "-0.3",
  average_price: "3560",
  cost_basis: "-1068",
  market_price: "3558.5",
  market_value: "-1067.55",
  realised_pnl: "-1.068",
  unrealised_pnl: "0.45",
};
const SOLD: Position = {
  ...BTC,
  symbol: "SOL-USD",
  quantity: "0",
  average_price: "0",
  cost_basis: "0",
  market_value: "0",
  realised_pnl: "12.5",
  unrealised_pnl: "0",
};
const POSITIONS = [BTC, ETH, SOLD];
/** 100,000 at first, 250 paid in, 8.211391983333 realised, 723.335373333333 paid for what is held. */
const ACCOUNT = {
  cash: "99534.87601865",
  equity: "100262.84057865",
  reserved: "4322.6357174",
  buying_power: "95212.24030125",
  deposits: "250",
  realised_pnl: "8.211391983333",
  unrealised_pnl: "4.629186666667",
} as AccountDetail;

/** Fails unless the terms make the number, as both are written on the page. */
function check(reckoning: Reckoning, shown: string | null) {
  expect(written(result(reckoning), reckoning.unit)).toBe(written(shown, reckoning.unit));
}

describe("a number's formula makes the number", () => {
  it.each(POSITIONS)("of a position in $symbol", (position) => {
    check(marketValue(position), position.market_value);
    check(costOf(position), position.cost_basis);
    check(unrealisedOf(position), position.unrealised_pnl);
    if (position !== SOLD) check(averagePriceOf(position), position.average_price);
  });

  it("of an account", () => {
    const made = ofAccount(ACCOUNT, POSITIONS);
    check(made.equity, ACCOUNT.equity);
    check(made.cash, ACCOUNT.cash);
    check(made.buyingPower, ACCOUNT.buying_power);
    check(made.realised, ACCOUNT.realised_pnl);
    check(made.unrealised, ACCOUNT.unrealised_pnl);
    expect(made.cash.terms[0]?.name).toBe("When first compared");
    expect(written(made.cash.terms[0]?.amount ?? null, "money")).toBe("$100,000.00");
  });

  it("of a book, whose cash began with nothing", () => {
    const book = {
      id: "b",
      cash: "3203.66",
      reserved: "0",
      buying_power: "3203.66",
      equity: "4999.17456",
      funded: "5000",
      realised_pnl: "-5.004626666667",
      unrealised_pnl: "4.179186666667",
      positions: [{ ...BTC, realised_pnl: "-5.004626666667" }],
    } as unknown as Book;
    const made = ofBook(book);
    check(made.equity, book.equity);
    check(made.cash, book.cash);
    check(made.buyingPower, book.buying_power);
    check(made.realised, book.realised_pnl);
    check(made.unrealised, book.unrealised_pnl);
    expect(made.cash.terms.map((one) => one.name)).not.toContain("When first compared");
  });

  it("of a portfolio and its parts", () => {
    const row = ({ symbol, quantity, market_value, realised_pnl, unrealised_pnl }: Position) => ({
      symbol,
      quantity,
      value: market_value ?? "0",
      realised: realised_pnl,
      unrealised: unrealised_pnl ?? "0",
    });
    const figures = {
      value: ACCOUNT.equity,
      cash: ACCOUNT.cash,
      deposits: ACCOUNT.deposits,
      realised: ACCOUNT.realised_pnl,
      unrealised: ACCOUNT.unrealised_pnl,
      fees: "4.5",
      allocation: [
        { symbol: null, value: ACCOUNT.cash },
        { symbol: "BTC-USD", value: BTC.market_value },
        { symbol: "ETH-USD", value: ETH.market_value },
      ],
      by_symbol: POSITIONS.map(row),
      by_book: [
        { book: { name: "The account's own" }, fees: "4.25" },
        { book: { name: "Olga's" }, fees: "0.25" },
      ],
    } as unknown as Portfolio;
    const made = ofPortfolio(figures);
    check(made.value, figures.value);
    check(made.cash, figures.cash);
    check(made.realised, figures.realised);
    check(made.unrealised, figures.unrealised);
    check(made.fees, figures.fees);
    for (const one of figures.by_symbol) {
      check(worth(one), one.value);
      check(gained(one), one.unrealised);
      check(profitOf("by_symbol", one), plus(one.realised, one.unrealised));
    }
    expect(written(result(shareOf("1795.51456", "100262.84057865")), "share")).toBe("1.79 %");
    expect(written(result(shareOf("-1067.55", "100262.84057865")), "share")).toBe("\u22121.06 %");
  });

  it("of a point of the history", () => {
    const first = { equity: "100000", cash: "100000", flows: "0" } as EquityPoint;
    const point = { equity: "100262.84", cash: "99534.88", flows: "250" } as EquityPoint;
    check(valueAt(point), point.equity);
    check(profitSince(point, first), "12.84");
    check(earnedOver("12.84", point.equity), "12.84");
  });

  it.each([
    ["buy", "1001", "8998"],
    ["sell", "999", "10000"],
  ] as const)("of a preview to %s", (side, total, after) => {
    const preview = {
      quantity: "0.0156",
      estimated_price: "64102.5641025641",
      estimated_notional: "1000",
      estimated_fee: "1",
      estimated_total: total,
      buying_power_before: "10000",
      buying_power_after: after,
    } as OrderPreview;
    const made = ofPreview(preview, side);
    check(made.notional, preview.estimated_notional);
    check(made.fee, preview.estimated_fee);
    check(made.total, preview.estimated_total);
    check(made.buyingPower, preview.buying_power_after);
    expect(written(made.fee.terms[1]?.amount ?? null, "share")).toBe("0.10 %");
  });

  it("of a limit", () => {
    const limit = { kind: "gross_exposure", used: "7469.23817", value: "50000" } as LimitInForce;
    check(usageOf(limit), "0.1493847634");
    check(usageOf({ ...limit, kind: "concentration", used: "0.06", value: "0.05" }), "1.2");
  });
});

describe("what fills make", () => {
  const fill = (side: Fill["side"], quantity: string, price: string, realised_pnl: string) =>
    ({ side, quantity, price, fee: "0.25", realised_pnl }) as Fill;
  const FILLS = [
    fill("sell", "0.011", "63974.28", "-0.5"),
    fill("buy", "0.026", "63980.95", "-0.25"),
    fill("buy", "0.013", "63974.89", "-0.25"),
  ];

  it("is the position, what it realised, and an order's price and fees", () => {
    expect(makes(FILLS, "held", "0.028")).not.toBeNull();
    expect(makes(FILLS, "realised", "-1")).not.toBeNull();
    expect(makes(FILLS, "fees", "0.75")).not.toBeNull();
    expect(makes(FILLS.slice(1), "filled", "0.039")).not.toBeNull();
    expect(makes(FILLS.slice(1), "average_price", "63978.93")).not.toBeNull();
    for (const one of FILLS) check(realisedBy(one), one.realised_pnl);
  });

  it("is not shown where they make another number, as not all of it came by fills", () => {
    expect(makes(FILLS, "held", "0.03")).toBeNull();
    expect(makes([], "average_price", "63978.93")).toBeNull();
  });
});

it("makes nothing of what is not known", () => {
  expect(result(marketValue({ ...BTC, market_price: null }))).toBeNull();
});
