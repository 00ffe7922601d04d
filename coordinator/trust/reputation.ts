/** What is known of a worker's honesty: valid audits since the last bad one, and when the bad ones were (ms since 1970, oldest first). */
export interface Reputation {
  validInARow: number;
  offences: readonly number[];
}

export const NEWCOMER: Reputation = { validInARow: 0, offences: [] };

/** The least part of a worker's results that is computed again, however long it has been honest. Source: DESIGN, section 5. */
export const LEAST_AUDITS = 0.02;
/** About this many audits in a row before a worker is audited less than always. */
const FIRST_AUDITS = 10;

/** The probability that a result is audited. Source: DESIGN, section 5: p = max(0.02, min(1, 10 / (n + 1))). Pure. */
export function auditProbability({ validInARow }: Pick<Reputation, 'validInARow'>): number {
  return Math.max(LEAST_AUDITS, Math.min(1, FIRST_AUDITS / (validInARow + 1)));
}

/** Whether a worker has proven enough for its answer to be held against others'. */
export function isTrusted(reputation: Pick<Reputation, 'validInARow'>): boolean {
  return auditProbability(reputation) < 1;
}

/** The part of two workers' agreements that the reference looks at, too: those of accomplices are worth nothing. */
export const RECHECKED = 0.2;

/** Offences that are remembered: more than any rule below counts. */
const REMEMBERED_OFFENCES = 16;

/** A worker's reputation after an audit. What could not be decided changes nothing. */
export function afterAudit(reputation: Reputation, outcome: 'valid' | 'bad' | 'undecided', at: number): Reputation {
  if (outcome === 'undecided') return reputation;
  if (outcome === 'valid') return { ...reputation, validInARow: reputation.validInARow + 1 };
  return { validInARow: 0, offences: [...reputation.offences, at].slice(-REMEMBERED_OFFENCES) };
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * The rules of suspension, as a network states them: the second bad result within 7 days suspends for a day, the third within 30 days for 30 days, each
 * from the last one on. One alone suspends nobody: memory fails, and every result is audited after it.
 */
const RULES = [
  { offences: 3, withinMs: 30 * DAY_MS, forMs: 30 * DAY_MS },
  { offences: 2, withinMs: 7 * DAY_MS, forMs: DAY_MS },
] as const;

/** Until when (ms since 1970) these offences suspend a worker; null where they don't. Pure. */
export function suspendedUntil(offences: readonly number[]): number | null {
  const last = offences.at(-1);
  if (last === undefined) return null;
  for (const { offences: least, withinMs, forMs } of RULES) {
    const first = offences.at(-least);
    if (first !== undefined && last - first <= withinMs) return last + forMs;
  }
  return null;
}
