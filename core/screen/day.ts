/** The bounds of the local day around `now`, in ms since 1970. A day with a clock change has 23 or 25 hours. */
export function dayBounds(now: number): { start: number; end: number } {
  const midnight = new Date(now);
  midnight.setHours(0, 0, 0, 0);
  const next = new Date(midnight);
  next.setDate(next.getDate() + 1);
  return { start: midnight.getTime(), end: next.getTime() };
}
