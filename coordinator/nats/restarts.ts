const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5000;
const WITHIN_MS = 60_000;
const CRASHES = 6;

/**
 * How long to wait before a program that ended is started again; null where it ended so often lately that starting it again is no help.
 * @param crashes when it ended by itself, ms of a clock that only grows, oldest first, this time included
 */
export function restartAfter(crashes: readonly number[]): number | null {
  const now = crashes.at(-1) ?? 0;
  const lately = crashes.filter((at) => now - at < WITHIN_MS).length;
  return lately >= CRASHES ? null : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (lately - 1));
}
