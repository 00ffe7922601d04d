import type { Shard } from '../core/contract/shard.ts';
import { auditProbability, type Reputation } from './trust/reputation.ts';

/**
 * Worker and coordinator are one trust domain here, so an audit shows faults of the machine (a bad driver, overclocked memory), not honesty. That is
 * worth one computation in twenty at most.
 */
export const MAX_LOCAL_AUDITS = 0.05;

/**
 * With what probability a result is computed again: a stranger's by its reputation, practice as often as it is set, the owner's own work never: nobody asked
 * for it to be done twice.
 */
export function probabilityOf(origin: Shard['origin'], local: number, reputation: Pick<Reputation, 'validInARow'>): number {
  if (origin === 'own') return 0;
  return origin === 'practice' ? Math.min(local, MAX_LOCAL_AUDITS) : auditProbability(reputation);
}

/** @param draw uniform in [0, 1) */
export function drawsAudit(probability: number, draw: number): boolean {
  return draw < probability;
}
