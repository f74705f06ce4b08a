import { useEffect, useState } from "react";

/** The monotonic clock of this machine in milliseconds, read anew every `every_ms`. */
export function useNow(every_ms: number): number {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), every_ms);
    return () => clearInterval(timer);
  }, [every_ms]);
  return now;
}
