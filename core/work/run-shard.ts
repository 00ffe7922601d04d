import { unitsOf } from '../contract/shard.ts';
import type { ReadyShard } from './acquire.ts';
import type { Delivery } from './deliver.ts';
import type { AbortReason } from './give-back.ts';
import type { Outputs } from './outputs.ts';
import type { WorkPorts } from './ports.ts';

const SHORTEST_HEARTBEAT_MS = 250;

/**
 * Computes a shard and makes its result durable: bytes in the spool, then the entry in the ledger. Heartbeats renew the lease meanwhile; a lease
 * that the network gave to another aborts the run.
 * @param onHeartbeatError an error of a heartbeat, which says nothing of the run
 */
export async function runShard(
  ports: WorkPorts,
  outputs: Outputs,
  { from, lease, key, model, inputs }: ReadyShard,
  abort: AbortController,
  onHeartbeatError: (thrown: unknown) => void,
): Promise<Delivery> {
  const { shard, attempt } = lease;
  const beat = async () => {
    const held = await from.network.progress(key.shardId, attempt, null);
    if (!held) abort.abort('expired' satisfies AbortReason);
  };
  const heartbeat = setInterval(() => beat().catch(onHeartbeatError), Math.max(SHORTEST_HEARTBEAT_MS, Math.floor(lease.leaseMs / 3)));
  try {
    ports.journal.running(key);
    ports.onChange({ type: 'started', shard, attempt, inputs });
    const result = await ports.compute(
      { shard, model, inputs },
      { signal: abort.signal, onToken: (token, index) => ports.onChange({ type: 'token', shard, attempt, token, index }) },
    );
    const facts = {
      commitment: result.commitment,
      outputBytes: result.outputs.byteLength,
      units: unitsOf(shard, result.tokensMade),
      runMs: result.runMs,
    };
    await outputs.keep(result.commitment, result.outputs, () => ports.journal.computed(key, facts));
    ports.onChange({ type: 'computed', shard, attempt });
    return { from, key, shard, submission: { shardId: shard.id, attempt, ...facts }, alreadySubmitted: false };
  } finally {
    clearInterval(heartbeat);
    model.release();
  }
}
