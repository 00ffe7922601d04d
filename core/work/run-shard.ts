import { unitsOf } from '../contract/shard.ts';
import type { ReadyShard } from './acquire.ts';
import type { FreshResult } from './deliver-group.ts';
import type { AbortReason } from './give-back.ts';
import type { WorkPorts } from './ports.ts';

const SHORTEST_HEARTBEAT_MS = 250;

/**
 * Computes a shard. What it gives is in memory alone: the worker can go on with the next while it is made durable and handed in. Heartbeats renew
 * the lease meanwhile; a lease that the network gave to another aborts the run.
 * @param onHeartbeatError an error of a heartbeat, which says nothing of the run
 */
export async function runShard(
  ports: WorkPorts,
  { from, lease, key, model, inputs }: ReadyShard,
  abort: AbortController,
  onHeartbeatError: (thrown: unknown) => void,
): Promise<FreshResult> {
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
      backend: result.backend,
    };
    return { from, key, shard, submission: { shardId: shard.id, attempt, ...facts }, bytes: result.outputs };
  } finally {
    clearInterval(heartbeat);
    model.release();
  }
}
