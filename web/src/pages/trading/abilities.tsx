import type { AccountSummary, Support } from "../../api/types";
import { Panel, Tag, type Tone } from "../../ui/surface";
import { useVenue } from "./venue";
import { CLASSES, TIMES, TYPES } from "./words";

const FEATURES: Record<string, string> = {
  notional: "Orders for an amount of money",
  extended_hours: "Outside of the regular hours",
  replace: "Change of an open order",
  short: "Selling what is not held",
};

const WAYS: Record<Support["way"], [word: string, tone: Tone]> = {
  broker: ["the broker", "good"],
  desk: ["by the desk", "warn"],
  no: ["not to be had", "calm"],
};

/** What can be asked of the account's broker, what the desk does in its place, and what is refused with its reason. */
export function Abilities({ account }: { account: AccountSummary }) {
  const venue = useVenue(account.id);
  if (!venue) return null;
  return (
    <Panel title="What can be ordered here, and who does it">
      <p className="px-3 pt-2 text-muted">
        What the broker cannot, the desk does where that is safe: as long as it runs and sees the
        market.
      </p>
      <div className="grid gap-x-8 gap-y-4 p-3 sm:grid-cols-2 xl:grid-cols-4">
        <Group title="Order types" list={venue.types} words={TYPES} />
        <Group title="Time in force" list={venue.times_in_force} words={TIMES} />
        <Group title="Exits" list={venue.classes} words={CLASSES} />
        <Group title="Besides" list={venue.features} words={FEATURES} />
      </div>
    </Panel>
  );
}

interface GroupProps {
  title: string;
  list: readonly Support[];
  words: Record<string, string>;
}

function Group({ title, list, words }: GroupProps) {
  return (
    <section>
      <h3 className="mb-1 text-xs font-semibold text-muted">{title}</h3>
      <ul className="divide-y divide-line/60">
        {list.map(({ name, way, reason }) => {
          const [word, tone] = WAYS[way];
          return (
            <li key={name} className="py-1.5">
              <p className="flex items-baseline justify-between gap-3">
                {words[name] ?? name} <Tag tone={tone}>{word}</Tag>
              </p>
              {reason && <p className="text-xs text-muted">{reason}</p>}
            </li>
          );
        })}
      </ul>
    </section>
  );
}
