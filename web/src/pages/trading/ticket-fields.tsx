import type { MarketSymbol, OrderClass, OrderType, TimeInForce, Venue } from "../../api/types";
import { price } from "../../format/money";
import { quantity as quantityText } from "../../format/quantity";
import { CheckBox, Choice, Field, Select } from "../../ui/controls";
import { ChevronDown } from "../../ui/icons";
import { Tag } from "../../ui/surface";
import { BookChoice } from "./book-choice";
import { chosen, clash, type Draft, type FieldName, fieldsOf, mayExtend } from "./draft";
import { lack, support } from "./venue";
import { CLASSES, TIMES, TYPES } from "./words";

const SIDES = [
  { value: "buy", text: "Buy", look: "bg-buy text-on-trade" },
  { value: "sell", text: "Sell", look: "bg-sell text-on-trade" },
] as const;

interface FieldsProps {
  accountId: string;
  draft: Draft;
  symbol: MarketSymbol;
  venue: Venue | undefined;
  onChange(draft: Draft): void;
  error(field: FieldName): string | null;
}

/** The fields of the ticket: those that apply to what was chosen, and what the broker cannot do with its reason. */
export function TicketFields({ accountId, draft, symbol, venue, onChange, error }: FieldsProps) {
  const choose = (part: Partial<Draft>) => onChange(chosen(draft, part));
  const applies = fieldsOf(draft);
  const typed = (field: FieldName) => ({
    name: field,
    inputMode: "decimal" as const,
    value: draft[field],
    error: error(field),
    onChange: (event: { target: { value: string } }) => choose({ [field]: event.target.value }),
  });
  const limited = applies.includes("limit_price");
  return (
    <>
      <Choice
        label="Side"
        value={draft.side}
        onChange={(side) => choose({ side })}
        options={SIDES}
      />
      <QuoteLine
        symbol={symbol}
        onTake={limited ? (limit_price) => choose({ limit_price }) : undefined}
      />
      <div className="grid grid-cols-2 gap-3">
        <Choices
          label="Type"
          words={TYPES}
          value={draft.type}
          onChoose={(type: OrderType) => choose({ type })}
          lack={(type) => lack(venue, "types", type)}
          clash={(type) => clash(draft, { type })}
          byDesk={(type) => support(venue, "types", type).way === "desk"}
        />
        <Choices
          label="Time in force"
          words={TIMES}
          value={draft.time_in_force}
          onChoose={(time_in_force: TimeInForce) => choose({ time_in_force })}
          lack={(time) => lack(venue, "times_in_force", time)}
          clash={(time_in_force) => clash(draft, { time_in_force })}
          byDesk={(time) => support(venue, "times_in_force", time).way === "desk"}
        />
      </div>
      <Size draft={draft} symbol={symbol} venue={venue} choose={choose} typed={typed} />
      {applies.includes("stop_price") && (
        <Field label="Stop price" unit={symbol.quote} {...typed("stop_price")} />
      )}
      {limited && (
        <Field
          label={draft.class === "oco" ? "Take-profit price (limit)" : "Limit price"}
          unit={symbol.quote}
          {...typed("limit_price")}
        />
      )}
      {applies.includes("trail") && (
        <Field
          label="Trail behind the market"
          beside={
            <UnitSwitch
              label="Trail in"
              value={draft.trail_in}
              onChange={(trail_in) => choose({ trail_in })}
              options={[
                ["percent", "per cent"],
                ["price", symbol.quote],
              ]}
            />
          }
          {...typed("trail")}
        />
      )}
      <div>
        <Choices
          label="Exits"
          words={CLASSES}
          value={draft.class}
          onChoose={(group: OrderClass) => choose({ class: group })}
          lack={(group) => lack(venue, "classes", group)}
          clash={() => null}
          byDesk={(group) => support(venue, "classes", group).way === "desk"}
        />
        {support(venue, "classes", draft.class).way === "desk" && (
          <p className="mt-1.5 text-xs text-muted">
            <Tag tone="warn">by the desk</Tag> The broker cannot; the desk watches the exits, as
            long as it runs.
          </p>
        )}
      </div>
      {draft.class === "oto" && (
        <Choice
          label="The one exit"
          value={draft.oto}
          onChange={(oto) => choose({ oto })}
          options={[
            { value: "stop_loss", text: "Stop-loss" },
            { value: "take_profit", text: "Take-profit" },
          ]}
        />
      )}
      {applies.includes("take_profit") && (
        <Field label="Take-profit price" unit={symbol.quote} {...typed("take_profit")} />
      )}
      {applies.includes("stop_loss") && (
        <div className="grid grid-cols-2 gap-3">
          <Field label="Stop-loss price" unit={symbol.quote} {...typed("stop_loss")} />
          <Field
            label="Its limit"
            unit="optional"
            placeholder="any price"
            {...typed("stop_loss_limit")}
          />
        </div>
      )}
      <Extras accountId={accountId} draft={draft} venue={venue} choose={choose} error={error} />
    </>
  );
}

interface ChoicesProps<T extends string> {
  label: string;
  words: Record<T, string>;
  value: T;
  onChoose(value: T): void;
  /** Why the broker cannot. */
  lack(value: T): string | null;
  /** Why it does not go with the rest of the order. */
  clash(value: T): string | null;
  byDesk(value: T): boolean;
}

/** A choice list in which what cannot be chosen stays in sight, with the reason. */
function Choices<T extends string>(props: ChoicesProps<T>) {
  const { label, words, value, onChoose } = props;
  return (
    <Select label={label} value={value} onChange={(event) => onChoose(event.target.value as T)}>
      {(Object.keys(words) as T[]).map((one) => {
        const why = props.lack(one) ?? props.clash(one);
        return (
          <option key={one} value={one} disabled={why !== null} title={why ?? undefined}>
            {words[one]}
            {why !== null ? ` – ${why}` : props.byDesk(one) ? " · by the desk" : ""}
          </option>
        );
      })}
    </Select>
  );
}

interface PartProps {
  draft: Draft;
  venue: Venue | undefined;
  choose(part: Partial<Draft>): void;
}

/** How much: in units, or as much as an amount of money buys. */
function Size({
  draft,
  symbol,
  venue,
  choose,
  typed,
}: PartProps & {
  symbol: MarketSymbol;
  typed(field: FieldName): object;
}) {
  const money = support(venue, "features", "notional");
  const inMoney = draft.size === "notional";
  return (
    <Field
      label={inMoney ? "Amount" : "Quantity"}
      beside={
        <UnitSwitch
          label="Size in"
          value={draft.size}
          onChange={(size) => choose({ size })}
          options={[
            ["quantity", symbol.base],
            ["notional", symbol.quote],
          ]}
          lack={(size) => (size === "notional" ? lack(venue, "features", "notional") : null)}
        />
      }
      hint={
        inMoney && money.way === "desk"
          ? "The desk turns the amount into units at the price of now."
          : undefined
      }
      {...typed(draft.size)}
    />
  );
}

/** Switches what a number counts; stands at the end of a field's label. */
function UnitSwitch<T extends string>({
  label,
  value,
  onChange,
  options,
  lack,
}: {
  label: string;
  value: T;
  onChange(value: T): void;
  options: readonly (readonly [value: T, text: string])[];
  lack?(value: T): string | null;
}) {
  return (
    <span className="-my-3 flex gap-1 sm:my-0">
      {options.map(([one, text]) => {
        const why = lack?.(one) ?? null;
        return (
          <button
            key={one}
            type="button"
            aria-pressed={value === one}
            aria-label={`${label} ${text}`}
            disabled={why !== null}
            title={why ?? undefined}
            onClick={() => onChange(one)}
            className={`min-h-11 rounded px-1.5 sm:min-h-5 disabled:line-through ${
              value === one
                ? "bg-raised font-medium text-ink ring-1 ring-line-strong/50"
                : "hover:text-ink"
            }`}
          >
            {text}
          </button>
        );
      })}
    </span>
  );
}

/** What most orders leave alone. */
function Extras({
  accountId,
  draft,
  venue,
  choose,
  error,
}: PartProps & { accountId: string; error(field: FieldName): string | null }) {
  const why = lack(venue, "features", "extended_hours");
  return (
    <details
      className="group rounded-md border border-line px-2.5"
      open={error("strategy") !== null || undefined}
    >
      <summary className="flex min-h-11 items-center justify-between text-xs text-muted hover:text-ink sm:min-h-8">
        Hours, book, strategy
        <ChevronDown className="size-3 group-open:rotate-180" />
      </summary>
      <div className="flex flex-col gap-3 pb-3">
        <CheckBox
          checked={draft.extended_hours}
          disabled={why !== null || !mayExtend(draft)}
          onChange={(extended_hours) => choose({ extended_hours })}
          hint={
            why ??
            (mayExtend(draft) ? undefined : "Only for day and GTC limit orders without exits.")
          }
        >
          Also outside of the regular hours
        </CheckBox>
        <BookChoice
          accountId={accountId}
          value={draft.book_id}
          onChange={(book_id) => choose({ book_id })}
        />
        <Field
          label="Strategy"
          unit="optional"
          name="strategy"
          maxLength={64}
          value={draft.strategy}
          error={error("strategy")}
          onChange={(event) => choose({ strategy: event.target.value })}
        />
      </div>
    </details>
  );
}

/** Bid and ask of now; pressing one takes it as the limit price. */
function QuoteLine({ symbol, onTake }: { symbol: MarketSymbol; onTake?: (price: string) => void }) {
  const side = (
    name: string,
    value: string | null | undefined,
    size: string | null | undefined,
  ) => {
    const text = (
      <>
        <span className="text-xs text-muted">{name}</span>
        <span className="font-semibold">{price(value, symbol.price_increment)}</span>
        <span className="text-2xs text-muted">{quantityText(size)}</span>
      </>
    );
    const look =
      "flex min-h-11 flex-1 flex-col items-start rounded-md border border-line px-2.5 py-1";
    return onTake && value != null ? (
      <button
        type="button"
        title="Take as limit price"
        className={`${look} hover:border-line-strong hover:bg-raised`}
        onClick={() => onTake(value)}
      >
        {text}
      </button>
    ) : (
      <div className={look}>{text}</div>
    );
  };
  return (
    <div className="flex gap-3">
      {side("Bid", symbol.bid, symbol.bid_size)}
      {side("Ask", symbol.ask, symbol.ask_size)}
    </div>
  );
}
