import { asHearthlendError } from '../core/contract/errors.ts';
import type { Context } from './context.ts';
import type { Applied } from './store.ts';

/** Tells requesters here how jobs stand that other coordinators of the network have changed. Gives what ends it. */
export function followOthers({ store, jobChanged, log }: Context): () => void {
  async function told(applied: Applied): Promise<void> {
    const job = await jobOf(applied);
    if (job !== null) await jobChanged(job);
  }

  async function jobOf(applied: Applied): Promise<string | null> {
    switch (applied.name) {
      case 'addJob':
        return applied.args[0].id;
      case 'cancelJob':
        return applied.args[0];
      case 'accept':
      case 'endAttempt':
      case 'expire':
      case 'reject': {
        const shard = (await store.shard(applied.args[0].shardId))?.shard;
        return shard === undefined || shard.origin === 'practice' ? null : shard.jobId;
      }
      case 'lend':
        return applied.result.length === 0 ? null : ((await store.shard(applied.result[0]?.shardId ?? ''))?.shard.jobId ?? null);
      default:
        return null;
    }
  }

  return store.onApplied((applied) => {
    if (applied.own) return;
    told(applied).catch((thrown: unknown) => log('error', 'change-not-told', { detail: asHearthlendError(thrown).message }));
  });
}
