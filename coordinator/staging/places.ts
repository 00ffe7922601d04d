import { asHearthlendError } from '../../core/contract/errors.ts';
import type { Shard } from '../../core/contract/shard.ts';
import type { Context } from '../context.ts';
import type { AttemptRecord, Store } from '../store.ts';

/** A generation keeps places for some of its stages this long while it waits for more, and others wait for theirs. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 5000;

/**
 * Whether a waiting stage of a generation may be lent. Each of several that have a part of their stages would wait for what the others keep: so one
 * begins when no other waits half begun.
 */
export async function mayBegin(store: Pick<Store, 'stagedWaiting'>, { jobId }: Pick<Shard, 'jobId'>): Promise<boolean> {
  const begun = (await store.stagedWaiting()).filter((job) => job.begun);
  return begun.length === 0 || begun.some((job) => job.jobId === jobId);
}

/**
 * Takes the places of a generation back that waits for more of them than there are, so that others go on, of which each needs fewer. It keeps its
 * steps, and is lent again in its turn. Gives what ends it.
 */
export function watchPlaces(
  { store, monotonic, log }: Pick<Context, 'store' | 'monotonic' | 'log'>,
  release: (attempt: AttemptRecord) => Promise<void>,
): () => void {
  /** Since when each waits half begun. */
  const since = new Map<string, number>();

  async function look(): Promise<void> {
    const waiting = await store.stagedWaiting();
    const now = monotonic();
    const begun = waiting.filter((job) => job.begun).map(({ jobId }) => jobId);
    for (const jobId of since.keys()) if (!begun.includes(jobId)) since.delete(jobId);
    for (const jobId of begun) {
      const at = since.get(jobId) ?? now;
      since.set(jobId, at);
      if (now - at < PATIENCE_MS || begun.length === waiting.length) continue;
      since.delete(jobId);
      log('warn', 'stages-give-way', { job: jobId });
      for (const { shard, state, attempt } of await store.shardsOf(jobId)) {
        const held = state === 'leased' ? await store.attempt({ shardId: shard.id, attempt }) : null;
        if (held !== null) await release(held);
      }
    }
  }

  const looking = setInterval(() => {
    look().catch((thrown: unknown) => log('error', 'places-not-watched', { detail: asHearthlendError(thrown).message }));
  }, LOOK_MS);
  looking.unref();
  return () => clearInterval(looking);
}
