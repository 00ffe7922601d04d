import { setTimeout as sleep } from 'node:timers/promises';
import type { AbortReason } from '../contract/abort.ts';
import { asHearthlendError, type ErrorCode, HearthlendError } from '../contract/errors.ts';
import type { StageReply } from '../contract/network.ts';
import { unitsOf } from '../contract/shard.ts';
import type { ReadyShard } from './acquire.ts';
import { isAway } from './deliver.ts';
import type { FreshResult } from './deliver-group.ts';
import type { WorkPorts } from './ports.ts';
import { createTelling } from './telling.ts';

const SHORTEST_HEARTBEAT_MS = 250;
const AWAY_MS = 1000;
/** Of several coordinators one has the steps; whichever is asked, soon it is that one. */
const BUSY_MS = 20;
const LEASE_OVER = new Set<ErrorCode>(['LEASE_EXPIRED', 'LEASE_UNKNOWN', 'NETWORK_REFUSED']);

/** What becomes known of a run before its result. */
interface RunEvents {
  /** Its worker comes to it. */
  onBegin(): void;
  /** An error of a heartbeat, which says nothing of the run. */
  onHeartbeatError(thrown: unknown): void;
}

/**
 * Computes a shard. What it gives is in memory alone: the worker can go on with the next while it is made durable and handed in. Heartbeats renew
 * the lease from when the worker comes to it, and those of the shards that wait with it; a lease that the network gave to another aborts the run.
 */
export async function runShard(
  ports: WorkPorts,
  { from, lease, key, model, inputs }: ReadyShard,
  abort: AbortController,
  { onBegin, onHeartbeatError }: RunEvents,
): Promise<FreshResult> {
  const { shard, attempt } = lease;
  const gone = () => abort.abort('expired' satisfies AbortReason);
  const beat = async () => {
    const held = await from.network.progress(key.shardId, attempt, null);
    if (!held) gone();
  };
  let heartbeat: NodeJS.Timeout | undefined;
  /** Why it could not be recorded that it runs. */
  let unrecorded: unknown = null;
  const begin = () => {
    heartbeat = setInterval(() => beat().catch(onHeartbeatError), Math.max(SHORTEST_HEARTBEAT_MS, Math.floor(lease.leaseMs / 3)));
    try {
      ports.journal.running(key);
    } catch (thrown) {
      unrecorded = thrown;
      abort.abort('stopped' satisfies AbortReason);
      return;
    }
    ports.onChange({ type: 'started', shard, attempt, inputs });
    onBegin();
  };
  const telling =
    shard.kind === 'onnx.generate' && shard.stream === true
      ? createTelling((made) => from.network.progress(key.shardId, attempt, null, made), gone, onHeartbeatError)
      : null;
  const onToken = (token: number, index: number) => {
    ports.onChange({ type: 'token', shard, attempt, token, index });
    telling?.token(token);
  };
  /** Asks again where the network is away for a moment; the lease's end ends that. */
  const exchange = async (step: number, outputs: Uint8Array | null): Promise<StageReply> => {
    const ask = from.network.exchange;
    if (ask === undefined) throw new HearthlendError('INTERNAL', { detail: `${from.info.id} lent a stage and takes no steps` });
    for (;;) {
      try {
        return await ask.call(from.network, key.shardId, attempt, step, outputs);
      } catch (thrown) {
        const error = asHearthlendError(thrown);
        // The network knows nothing of these steps any more: another attempt begins with the first.
        const busy = error.code === 'NETWORK_REFUSED' && String(error.params.detail).endsWith('NETWORK_BUSY');
        if (LEASE_OVER.has(error.code) && !busy) abort.abort('stopped' satisfies AbortReason);
        if (!isAway(error) && !busy) throw error;
        await sleep(busy ? BUSY_MS : AWAY_MS, undefined, { signal: abort.signal });
      }
    }
  };
  try {
    const result = await ports
      .compute({ shard, model, inputs }, { signal: abort.signal, onBegin: begin, onToken, exchange })
      .finally(() => {
        if (unrecorded !== null) throw unrecorded;
      });
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
    telling?.end();
    model.release();
  }
}
