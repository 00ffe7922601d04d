/** Calls that come at once, and how many more each second brings. */
export interface CallRateLimits {
  callsAtOnce: number;
  callsPerSecond: number;
}

/**
 * Counts one caller's calls: says whether another is within the rate. Pure but for what it remembers; `now` in ms of any clock, of which a step
 * back gives nothing and takes nothing.
 */
export function createCallRate({ callsAtOnce, callsPerSecond }: CallRateLimits): (now: number) => boolean {
  let left = callsAtOnce;
  let last: number | undefined;
  return (now) => {
    const elapsedMs = Math.max(0, now - (last ?? now));
    last = now;
    left = Math.min(callsAtOnce, left + (elapsedMs / 1000) * callsPerSecond);
    if (left < 1) return false;
    left -= 1;
    return true;
  };
}
