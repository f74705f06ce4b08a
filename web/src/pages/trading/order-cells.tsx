import type { Order } from "../../api/types";
import type { Placed } from "../../live/orders";
import { Tag } from "../../ui/surface";
import { LEGS, priceWords, SideAndSymbol, untilWords } from "./words";

/** Side and symbol of an order, a leg set in below its parent, with what sets it apart. */
export function OrderCell({ placed: { order, depth } }: { placed: Placed }) {
  return (
    <span
      className={`relative flex flex-wrap items-center gap-x-2 gap-y-0.5 ${depth === 1 ? "pl-4" : ""}`}
    >
      {depth === 1 && (
        <span aria-hidden="true" className="absolute top-0 left-0 text-muted">
          └
        </span>
      )}
      <SideAndSymbol of={order} />
      {order.leg && <Tag>{LEGS[order.leg]}</Tag>}
      {!order.leg && order.class !== "simple" && <Tag>{GROUPS[order.class]}</Tag>}
      {order.origin === "external" && <Tag tone="warn">not from the desk</Tag>}
      {order.done_by_desk.length > 0 && order.leg && (
        <span title="The broker cannot do this: the desk does, as long as it runs.">
          <Tag tone="warn">by the desk</Tag>
        </span>
      )}
    </span>
  );
}

/** The prices of an order one under the other, and how long it waits. */
export function PriceCell({ of }: { of: Order }) {
  return (
    <span className="flex flex-col items-end whitespace-nowrap">
      {priceWords(of)
        .split(", ")
        .map((part) => (
          <span key={part}>{part}</span>
        ))}
      <span className="text-2xs text-muted">{untilWords(of.time_in_force)}</span>
    </span>
  );
}

const GROUPS = { bracket: "bracket", oco: "OCO", oto: "OTO" } as const;
