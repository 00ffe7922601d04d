import { asHearthlendError } from '../core/contract/errors.ts';
import type { Context } from './context.ts';
import type { Doubling } from './doubling.ts';
import type { NewLease } from './leasing/records.ts';
import type { AttemptKey } from './store.ts';
import type { Waiting } from './waiting.ts';

/** Counts down every lease of the network, whichever coordinator gave it, and wakes machines for work that comes. Gives what ends it. */
export function trackLeases(context: Context, doubling: Doubling, waiting: Waiting): () => void {
  const { store, countdowns, origin } = context;
  /** Shards that two machines have, or had. */
  const doubled = new Set<string>();

  function count(lease: NewLease): void {
    countdowns.start(lease, lease.deadline - lease.leasedAt, lease.heldMs, lease.worker);
    if (origin === 'network') doubling.start(lease);
  }

  function stop(key: AttemptKey): void {
    countdowns.stop(key);
    doubling.stop(key);
    if (!doubled.has(key.shardId)) return;
    tellLosers(key.shardId).catch((thrown: unknown) => context.log('error', 'not-revoked', { detail: asHearthlendError(thrown).message }));
  }

  /** Another machine's result was faster: this one need not go on. What is lost of this it learns with its next heartbeat. */
  async function tellLosers(shardId: string): Promise<void> {
    const over = (await store.shard(shardId))?.state;
    if (over !== 'done' && over !== 'failed') return;
    doubled.delete(shardId);
    for (const { attempt, worker, state } of await store.attemptsOf(shardId)) {
      if (state === 'cancelled') context.emit({ type: 'revoked', shardId, attempt }, worker);
    }
  }

  return store.onApplied((applied) => {
    switch (applied.name) {
      case 'lend': {
        const lent = new Set(applied.result.map(({ shardId, attempt }) => `${shardId}#${attempt}`));
        for (const lease of applied.args[0]) if (lent.has(`${lease.shardId}#${lease.attempt}`)) count(lease);
        break;
      }
      case 'lendAgain':
        if (!applied.result) break;
        count(applied.args[0]);
        doubled.add(applied.args[0].shardId);
        break;
      case 'renewAll':
        for (const key of applied.result) countdowns.renew(key);
        break;
      case 'commit':
        // Whoever took it in answers it, or it is sent again within a whole lease.
        if (applied.result) countdowns.start(applied.args[0], context.leaseMs, context.leaseMs);
        doubling.stop(applied.args[0]);
        break;
      case 'accept':
        if (applied.result === 'accepted') stop(applied.args[0]);
        break;
      case 'endAttempt':
      case 'expire':
      case 'reject':
        if (!applied.result) break;
        stop(applied.args[0]);
        waiting.wake();
        break;
      case 'addJob':
        waiting.wake();
        break;
      case 'cancelJob':
        for (const key of applied.result?.revoked ?? []) stop(key);
        break;
      default:
    }
  });
}
