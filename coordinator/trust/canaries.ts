import { randomBytes } from 'node:crypto';
import { ModelManifest } from '../../core/contract/model.ts';
import type { Address } from '../../core/contract/receipt.ts';
import type { Shard } from '../../core/contract/shard.ts';
import type { Context } from '../context.ts';
import { holderOf } from '../holding.ts';
import type { ShardRecord } from '../store.ts';

/** The part of a worker's leases that are canaries. Source: DESIGN, section 5. */
export const CANARIES = 0.01;
/** Sources that one is chosen among: as many as are kept. */
const LOOK_AT = 256;

/**
 * A shard to be lent to this worker whose right answer is known: a copy of a real one that others computed, in a job of its own, with the same inputs, limits
 * and price, on the model that the worker is to be lent work of anyway. Null where none is drawn, or there is none that this worker doesn't know.
 * @param leases how many the worker is lent at once, of which one may be a canary @param random uniform in [0, 1)
 */
export async function drawCanary(
  { store, blobs, holding, clock }: Pick<Context, 'store' | 'blobs' | 'holding' | 'clock'>,
  worker: Address,
  like: Shard,
  leases: number,
  random: () => number,
): Promise<ShardRecord | null> {
  if (random() >= CANARIES * leases) return null;
  const sources = (await store.canariesFor(worker, LOOK_AT)).filter(
    ({ shard }) => shard.model.digest === like.model.digest && shard.kind === like.kind,
  );
  const source = sources[Math.floor(random() * sources.length)];
  if (source === undefined) return null;
  const { id } = source.shard;
  const shard = copyOf(source.shard);
  const record: ShardRecord = { shard, promptTokens: source.promptTokens, state: 'queued', attempt: 0, createdAt: clock() };
  const { files } = ModelManifest.parse(JSON.parse(new TextDecoder().decode(await blobs.read(shard.model.digest))));
  await holding.hold(holderOf.spareShard(shard.id), [shard.model.digest, shard.inputs.digest, ...files.map((file) => file.digest)]);
  if (await store.issueCanary(record, id, worker)) return record;
  await holding.letGo(holderOf.spareShard(shard.id));
  return null;
}

/** The same shard in a job of its own, which is nobody's. */
export function copyOf(shard: Shard): Shard {
  const { id, jobId } = shard;
  const copied = otherId(jobId);
  return { ...shard, id: `${copied}${id.slice(jobId.length)}`, jobId: copied };
}

/** What jobs that are named here have at least. */
const LEAST_DIGITS = 12;

/** Another job's name that looks like this one: as many digits, others. */
function otherId(jobId: string): string {
  const own = /[0-9a-f]*$/.exec(jobId)?.[0].length ?? 0;
  const digits = Math.max(own, LEAST_DIGITS);
  return `${jobId.slice(0, jobId.length - own)}${randomBytes(Math.ceil(digits / 2))
    .toString('hex')
    .slice(0, digits)}`;
}
