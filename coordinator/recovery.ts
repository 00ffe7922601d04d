import type { Sha256 } from '../core/contract/digest.ts';
import type { JobStatus } from '../core/contract/network.ts';
import type { Context } from './context.ts';
import { holderOf } from './holding.ts';
import type { Store } from './store.ts';

const DAY_MS = 86_400_000;
/** Outputs of the owner's jobs are kept this long after the job is over. */
const OUTPUTS_MS = 7 * DAY_MS;
/** Jobs and practice are forgotten this long after they are over; their receipts stay. */
const RECORDS_MS = 30 * DAY_MS;

/** Wipes outputs that were kept long enough, and forgets what is over since long. */
export async function retire({ store, holding, clock }: Context): Promise<void> {
  for (const id of await store.jobsOverBefore(clock() - OUTPUTS_MS)) await holding.letGo(holderOf.outputs(id));
  await store.forgetBefore(clock() - RECORDS_MS);
}

/**
 * Wipes the bytes that a crash left behind, those of jobs and shards that are over, and those of another practice model. What another coordinator holds may
 * be of a job that it is just taking in: of a network only what was not needed at the last look either is wiped.
 * @param before what was not needed then @returns what is not needed now
 */
export async function sweep(context: Context, practiceModel: Sha256 | null, before: ReadonlySet<string>): Promise<Set<string>> {
  const { store, holding, blobs, origin } = context;
  const unneeded = new Set<string>();
  for (const holder of await store.holders()) {
    if (await isNeeded(store, holder, practiceModel)) continue;
    if (origin === 'own' || before.has(holder)) await holding.letGo(holder);
    else unneeded.add(holder);
  }
  await blobs.keepOnly(() => store.heldBlobs());
  return unneeded;
}

/** Those of a job that is under way, too: what came of its first shards. */
function isKept(state: JobStatus['state'] | undefined): boolean {
  return state === 'queued' || state === 'running' || state === 'done';
}

async function isNeeded(store: Store, holder: string, practiceModel: Sha256 | null): Promise<boolean> {
  const at = holder.indexOf(':');
  const id = holder.slice(at + 1);
  switch (holder.slice(0, at)) {
    case 'job': {
      const job = await store.job(id);
      return job?.state === 'queued' || job?.state === 'running';
    }
    case 'outputs':
      return isKept((await store.job(id))?.state);
    case 'shard': {
      const state = (await store.shard(id))?.state;
      return state === 'queued' || state === 'leased' || state === 'settling';
    }
    case 'canary':
    case 'appeal':
      return store.isKept(holder);
    default:
      return practiceModel !== null && holder === holderOf.practiceModel(practiceModel);
  }
}
