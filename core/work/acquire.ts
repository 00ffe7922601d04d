import { asHearthlendError } from '../contract/errors.ts';
import { ref } from '../contract/messages.ts';
import type { Lease } from '../contract/shard.ts';
import { giveBack } from './give-back.ts';
import type { AttemptKey, ConnectedNetwork, HeldModel, WorkPorts } from './ports.ts';

/** A leased shard with everything on this machine that its run needs. */
export interface ReadyShard {
  from: ConnectedNetwork;
  lease: Lease;
  key: AttemptKey;
  model: HeldModel;
  inputs: Uint8Array;
}

/** A network that owes too much is looked at again after so long. */
const REFUSED_MS = 30_000;

/**
 * Asks a network for a shard. Null where it has none for this machine now; `retryMs` says when to ask again, where it is known.
 * @param asksAgain it is asked once more behind the others, for practice: that it has nothing is told then
 */
export async function askForLease(
  ports: WorkPorts,
  from: ConnectedNetwork,
  practice: boolean,
  asksAgain = false,
): Promise<{ lease: Lease } | { lease: null; retryMs: number | null }> {
  const { id } = from.info;
  if (!from.admitted()) {
    ports.onChange({ type: 'no-work', network: id, reason: ref('reason.isolation-refused', { network: id }) });
    return { lease: null, retryMs: null };
  }
  const refusal = from.refusal?.() ?? null;
  if (refusal !== null) {
    ports.onChange({ type: 'no-work', network: id, reason: refusal });
    return { lease: null, retryMs: REFUSED_MS };
  }
  const reply = await from.network.lease({
    isolation: ports.isolation(),
    warmModels: ports.warmModels().filter((model) => from.knows?.(model) ?? true),
    memoryBytes: ports.memoryBytes,
    practice,
    ...stageRoom(ports, from),
    ...from.wishes?.(),
  });
  const reason = reply.type === 'no-work' ? reply.reason : null;
  if (reason === null || !asksAgain) ports.onChange({ type: 'no-work', network: id, reason });
  return reply.type === 'lease' ? { lease: reply.lease } : { lease: null, retryMs: reply.retryMs };
}

/** The owner's own stages are kept here however large they are together. */
function stageRoom(ports: WorkPorts, { info }: ConnectedNetwork): ReturnType<WorkPorts['stageRoom']> {
  const { stages, stageBytes } = ports.stageRoom();
  return { stages, ...(info.sameTrustDomain ? {} : { stageBytes }) };
}

/**
 * Records a lease and fetches what it needs. Where that fails, the shard is handed back, recorded and told: then the answer is null.
 * @throws DISK_FULL and whatever else keeps it from being recorded
 */
export async function fetchShard(ports: WorkPorts, from: ConnectedNetwork, lease: Lease): Promise<ReadyShard | null> {
  const key = { network: from.info.id, shardId: lease.shard.id, attempt: lease.attempt };
  ports.journal.leased(lease);
  let model: HeldModel | undefined;
  try {
    model = await ports.holdModel(from.network, lease.shard.model);
    const inputs = await ports.fetchInputs(from.network, lease.shard.inputs);
    ports.journal.fetched(key);
    return { from, lease, key, model, inputs };
  } catch (thrown) {
    model?.release();
    // Says nothing of the shard: it is handed back when there is room to record that.
    if (asHearthlendError(thrown).code === 'DISK_FULL') throw thrown;
    const end = await giveBack(ports, { from, key, lease }, { thrown });
    ports.onChange({ type: 'ended', shard: lease.shard, key, end });
    return null;
  }
}
