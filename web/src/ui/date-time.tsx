import { dateTime } from "../format/time";

/** A moment that breaks between day and time where it is narrow, and nowhere else. */
export function DateTime({ at }: { at: string | null | undefined }) {
  const [day, time] = dateTime(at).split(" ");
  return (
    <>
      <span className="whitespace-nowrap">{day}</span>{" "}
      <span className="whitespace-nowrap">{time}</span>
    </>
  );
}
