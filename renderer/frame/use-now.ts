import { useEffect, useState } from 'react';

/** The time, brought up to date every `everyMs` while the component is shown; for what is drawn from the clock alone. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
