import { sign } from "../../format/decimal";
import { signedMoney } from "../../format/money";

/** Profit in green with a plus, loss in red with a minus. */
export function Pnl({ amount, currency }: { amount: string | null | undefined; currency: string }) {
  const way = amount == null ? 0 : sign(amount);
  const colour = way > 0 ? "text-up" : way < 0 ? "text-down" : "";
  return <span className={colour}>{signedMoney(amount, currency)}</span>;
}
