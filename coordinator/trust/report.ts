import { type AuditReport, REPORTED_AUDITS } from '../../core/contract/audits.ts';
import { type MessageRef, ref } from '../../core/contract/messages.ts';
import type { Address } from '../../core/contract/receipt.ts';
import type { TrustReads } from './records.ts';
import { auditProbability } from './reputation.ts';

/** What a worker may read of its own audits. */
export async function auditReport(store: Pick<TrustReads, 'standing' | 'audits'>, worker: Address, now: number): Promise<AuditReport> {
  const { validInARow, valid, bad, undecided, suspendedUntil } = store.standing(worker);
  const recent = await store.audits(worker, REPORTED_AUDITS);
  return {
    ...{ validInARow, probability: auditProbability({ validInARow }), valid, bad, undecided },
    suspendedUntil: suspendedUntil !== null && suspendedUntil > now ? suspendedUntil : null,
    recent: recent.map(({ shardId, attempt, at, outcome, detail }) => ({ shardId, attempt, at, outcome, detail })),
  };
}

/** Whoever waits for the end of a suspension asks again now and then: it may be lifted, and a computer that slept doesn't know how late it is. */
const MAX_RETRY_MS = 3_600_000;

/** Why a suspended worker gets no work, and when to ask again; undefined where it isn't suspended. */
export function suspensionOf(
  store: Pick<TrustReads, 'standing'>,
  worker: Address,
  now: number,
): { reason: MessageRef; retryMs: number } | undefined {
  const { suspendedUntil, bad } = store.standing(worker);
  if (suspendedUntil === null || suspendedUntil <= now) return undefined;
  const hours = Math.ceil((suspendedUntil - now) / 3_600_000);
  return { reason: ref('no-work.suspended', { bad, hours }), retryMs: Math.min(suspendedUntil - now, MAX_RETRY_MS) };
}
