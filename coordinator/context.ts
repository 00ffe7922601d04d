import type { NetworkTerms } from '../core/contract/joining.ts';
import type { JobStatus, NetworkEvent } from '../core/contract/network.ts';
import type { Address } from '../core/contract/receipt.ts';
import type { Shard } from '../core/contract/shard.ts';
import type { Blobs } from './blobs.ts';
import type { Countdowns } from './countdown.ts';
import { type Holding, holderOf } from './holding.ts';
import type { Money } from './leasing/demand.ts';
import type { Log } from './log.ts';
import type { Machines } from './machines.ts';
import type { Store } from './store.ts';

/** The job id under which practice runs. It is no job: nobody asked for it, and it is not listed. */
export const PRACTICE_JOB = 'practice';

/** What the parts of a coordinator share. */
export interface Context {
  networkId: string;
  /** Whose jobs come in: this machine's owner's, or strangers'. */
  origin: 'own' | 'network';
  /** Null for one's own machine. */
  terms: NetworkTerms | null;
  money: Money;
  store: Store;
  blobs: Blobs;
  holding: Holding;
  countdowns: Countdowns;
  /** ms since 1970. */
  clock: () => number;
  /** ms that only grow. */
  monotonic: () => number;
  /** Uniform in [0, 1). */
  random: () => number;
  /** The longest that a lease lasts without a sign of life. */
  leaseMs: number;
  leaseBounds: { leastMs: number; mostMs: number };
  machines: Machines;
  log: Log;
  /** `to` is left out for what concerns every worker. */
  emit(event: NetworkEvent, to?: Address | null): void;
  /** Tells the requester's side how a job stands now. */
  jobChanged(jobId: string): Promise<void>;
  /** The same, by who knows it. */
  jobIs(job: JobStatus): void;
}

/** After a shard is over: what it was computed from is not needed any more. */
export async function letGoOfShard({ store, holding, jobIs }: Context, shard: Shard): Promise<void> {
  if (shard.origin === 'practice') {
    await holding.letGo(holderOf.practiceShard(shard.id));
    return;
  }
  const job = await store.job(shard.jobId);
  // The job's other shards may still be to be computed.
  if (job?.state !== 'queued' && job?.state !== 'running') await holding.letGo(holderOf.job(shard.jobId));
  if (job?.state === 'failed') await holding.letGo(holderOf.outputs(shard.jobId));
  if (job !== null) jobIs(job);
}
