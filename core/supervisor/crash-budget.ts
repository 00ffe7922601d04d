/** How often in a row the worker failed, and when (ms since 1970) it may be started again. */
export interface CrashBudget {
  failures: number;
  retryAt: number;
}

export const UNSPENT: CrashBudget = { failures: 0, retryAt: 0 };

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 300_000;

/** Pause before the next start: none after the first failure, which may be chance; then 1 s, doubled each time, at most 5 minutes. */
export function backOffMs(failures: number): number {
  return failures < 2 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (failures - 2), LONGEST_DELAY_MS);
}

/** The budget after one more failure at `now`. A shard that was computed resets it to UNSPENT. */
export function afterFailure(budget: CrashBudget, now: number): CrashBudget {
  const failures = budget.failures + 1;
  return { failures, retryAt: now + backOffMs(failures) };
}
