/** Wrong passwords cost no pause up to this many in a row, then a second, doubling. */
const FREE_FAILURES = 3;
const LONGEST_PAUSE_MS = 30_000;

/** How long to make somebody wait who was wrong this often in a row, in ms. */
export function pauseAfter(failures: number): number {
  return failures < FREE_FAILURES ? 0 : Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** Math.min(failures - FREE_FAILURES, 16));
}
