import type { AbortReason } from '../contract/abort.ts';
import { asHearthlendError, type HearthlendError } from '../contract/errors.ts';
import type { Lease, Shard } from '../contract/shard.ts';
import { isAway } from './deliver.ts';
import type { AttemptEnd, AttemptKey, ConnectedNetwork, WorkPorts } from './ports.ts';

/**
 * Ends an attempt that brought no result: recorded here, and the network may lend it to another at once. What an error says of a stranger's
 * inputs goes back to the network and is kept nowhere here.
 */
export async function giveBack(
  ports: WorkPorts,
  { from, key, lease }: { from: ConnectedNetwork; key: AttemptKey; lease: Lease },
  why: { thrown: unknown; aborted?: AbortReason | undefined },
): Promise<AttemptEnd> {
  const error = asHearthlendError(why.thrown);
  const end = endOf(error, lease.shard.origin, why.aborted);
  ports.journal.ended(key, end);
  if (end.state === 'released') await from.network.release(key.shardId, key.attempt, why.aborted === 'paused' ? 'paused' : 'stopped', null);
  if (end.state === 'failed') {
    await from.network.release(key.shardId, key.attempt, workerBroke(error) ? 'crashed' : 'failed', end.code, error.params);
  }
  return end;
}

/** How an attempt without a result ended: handed back where this machine was the cause, failed where the shard was. Pure. */
export function endOf(error: HearthlendError, origin: Shard['origin'], aborted?: AbortReason): AttemptEnd {
  if (aborted === 'paused' || aborted === 'stopped') return { state: 'released', code: aborted };
  if (aborted === 'revoked') return { state: 'cancelled' };
  if (aborted === 'expired') return { state: 'expired' };
  // Its worker was stopped, and not for anything that it did: that device is wanted by somebody else.
  if (error.code === 'WORKER_STOPPED') return { state: 'released', code: 'paused' };
  // Nothing is wrong with the shard: another may have it, or this one when its network is there again.
  if (isAway(error)) return { state: 'released', code: 'stopped' };
  if (error.code === 'WORKER_BACKING_OFF') return { state: 'released', code: 'crashed' };
  return { state: 'failed', code: error.code, detail: origin === 'network' ? '' : JSON.stringify(error.params) };
}

/** Which says nothing of the shard yet: the network counts it apart. */
function workerBroke({ code }: HearthlendError): boolean {
  return code === 'WORKER_CRASHED' || code === 'WORKER_PROTOCOL' || code === 'WORKER_START_FAILED';
}
