import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { answer, api } from "../../api/client";
import type { Fill } from "../../api/types";
import { group, times } from "../../format/decimal";
import { averagePrice, money, price, UNKNOWN } from "../../format/money";
import { quantity } from "../../format/quantity";
import { Explained, Sum } from "../../ui/explained";
import { useFormula } from "./formulas";
import { ofFills, type Reckoning, result, type Unit } from "./reckoning";

interface ReckonedProps {
  /** Where it comes from; or only the formula's name, where nothing can be put in. */
  of: Reckoning | string;
  currency?: string;
  /** What else is worth knowing of it. */
  values?: readonly (readonly [name: string, value: ReactNode])[];
  children: ReactNode;
}

/** A number that opens its formula, with the numbers that went in. */
export function Reckoned({ of, currency, values, children }: ReckonedProps) {
  const named = typeof of === "string";
  return (
    <Opens of={named ? of : of.of} values={values} number={children}>
      {!named && <Terms of={of} currency={currency} />}
    </Opens>
  );
}

/** Whose fills: those of an order, or of a symbol on an account or in one of its books. */
type Whose = { order_id: string } | { account_id: string; book_id?: string; symbol: string };

interface FromFillsProps {
  /** Which of the numbers that fills make. */
  of: keyof ReturnType<typeof ofFills>;
  whose: Whose;
  /** The number itself. The fills are asked for when it is opened; if they do not make it, they are not shown as if. */
  amount: string;
  currency?: string;
  children: ReactNode;
}

/** A number that fills make. */
export function FromFills({ of, whose, amount, currency, children }: FromFillsProps) {
  return (
    <Opens of={ofFills([])[of].of} number={children}>
      <FillTerms of={of} whose={whose} amount={amount} currency={currency} />
    </Opens>
  );
}

function Opens({
  of,
  number,
  values,
  children,
}: {
  of: string;
  number: ReactNode;
  values?: ReckonedProps["values"];
  children: ReactNode;
}) {
  const formula = useFormula()(of);
  return (
    <Explained
      title={formula?.title ?? of}
      formula={formula?.formula}
      inputs={formula?.inputs}
      values={values}
      sum={children}
    >
      {number}
    </Explained>
  );
}

function Terms({ of, currency }: { of: Reckoning; currency?: string }) {
  const made = result(of);
  if (made === null || of.terms.length === 0) return null;
  return (
    <Sum
      terms={of.terms.map((one) => ({ ...one, text: written(one.amount, one.unit, currency) }))}
      result={written(made, of.unit, currency)}
    />
  );
}

const MOST_FILLS = 1_000;

function FillTerms({ of, whose, amount, currency }: Omit<FromFillsProps, "children">) {
  const { data, isPending } = useQuery({
    queryKey: ["fills", "sum", whose],
    queryFn: () =>
      answer(api.GET("/api/v1/fills", { params: { query: { ...whose, limit: MOST_FILLS } } })),
  });
  if (isPending) return <p className="mt-2 text-xs text-muted">Loading…</p>;
  const reckoning = makes(data?.items ?? [], of, amount);
  return reckoning && <Terms of={reckoning} currency={currency} />;
}

/** How the fills make the amount; null if they do not, as when a part of the position came from another book. */
export function makes(
  fills: readonly Fill[],
  of: FromFillsProps["of"],
  amount: string,
): Reckoning | null {
  const reckoning: Reckoning = ofFills(fills)[of];
  const made = result(reckoning);
  const same = made !== null && written(made, reckoning.unit) === written(amount, reckoning.unit);
  return same ? reckoning : null;
}

/** An amount as it stands everywhere else on the page. */
export function written(amount: string | null, unit: Unit, currency?: string): string {
  switch (unit) {
    case "money":
      return money(amount, currency);
    case "price":
      return price(amount);
    case "average":
      return averagePrice(amount);
    case "quantity":
      return quantity(amount);
    case "share":
      return amount === null ? UNKNOWN : `${group(times(amount, "100"), 2)} %`;
    case "number":
      // Leverages are small, amounts of money are not.
      return amount === null ? UNKNOWN : group(amount, 0, Math.abs(Number(amount)) < 1 ? 4 : 2);
  }
}
