import { asHearthlendError } from '../contract/errors.ts';
import { afterCrash } from '../contract/shard-state.ts';
import { deliver } from './deliver.ts';
import type { Outputs } from './outputs.ts';
import type { ConnectedNetwork, OpenAttempt, WorkPorts } from './ports.ts';

/** What a start after a crash found and did. */
export interface Recovery {
  released: number;
  resubmitted: number;
  accepted: number;
}

/**
 * Puts in order what a crash left: takes up receipts that were assigned but not recorded, sends results that were computed but not answered,
 * hands back what was only begun. Runs before any new lease, so that receipts stay in sequence.
 */
export async function recover(ports: WorkPorts, outputs: Outputs, from: ConnectedNetwork): Promise<Recovery> {
  const open = ports.journal.unfinished().filter((attempt) => attempt.network === from.info.id);
  const recovery: Recovery = { released: 0, resubmitted: 0, accepted: 0 };
  const settled = await takeReceipts(ports, outputs, from, open);
  recovery.accepted += settled.size;
  for (const attempt of open) {
    if (settled.has(keyOf(attempt))) continue;
    const next = afterCrash(attempt.state);
    if (next === 'release') {
      await from.network.release(attempt.shardId, attempt.attempt, 'stopped', null);
      ports.journal.ended(attempt, { state: 'released', code: 'restart' });
      recovery.released += 1;
    } else if (next === 'resubmit' && attempt.result !== null) {
      recovery.resubmitted += 1;
      if (await resubmit(ports, outputs, from, attempt, attempt.result)) recovery.accepted += 1;
    }
  }
  return recovery;
}

/** Records receipts that the network assigned while nobody here could write them down. */
async function takeReceipts(ports: WorkPorts, outputs: Outputs, from: ConnectedNetwork, open: OpenAttempt[]): Promise<Set<string>> {
  const settled = new Set<string>();
  for (const receipt of await from.network.receiptsSince(ports.journal.receiptHead(from.info.id))) {
    const attempt = open.find((each) => each.shardId === receipt.shardId && each.attempt === receipt.attempt);
    if (attempt?.state === 'computed') ports.journal.submitted(attempt);
    // For work that is not open here the journal refuses the receipt: nobody is credited for what was not recorded first.
    ports.journal.accepted({ network: from.info.id, shardId: receipt.shardId, attempt: receipt.attempt }, receipt, false);
    if (attempt?.result != null) await outputs.drop(attempt.result.commitment);
    if (attempt !== undefined) settled.add(keyOf(attempt));
  }
  return settled;
}

async function resubmit(
  ports: WorkPorts,
  outputs: Outputs,
  from: ConnectedNetwork,
  attempt: OpenAttempt,
  result: NonNullable<OpenAttempt['result']>,
): Promise<boolean> {
  try {
    const { shardId, attempt: number } = attempt;
    const submission = { shardId, attempt: number, ...result };
    const end = await deliver(ports, outputs, { from, key: attempt, submission, alreadySubmitted: attempt.state === 'submitted' });
    return end.state === 'accepted';
  } catch (thrown) {
    const error = asHearthlendError(thrown);
    if (error.code !== 'SPOOL_LOST' && error.code !== 'DIGEST_MISMATCH') throw thrown;
    // The recorded result has no bytes any more: from computed the attempt fails; a submitted one can only expire.
    const lost =
      attempt.state === 'computed' ? ({ state: 'failed', code: error.code, detail: '' } as const) : ({ state: 'expired' } as const);
    ports.journal.ended(attempt, lost);
    await from.network.release(attempt.shardId, attempt.attempt, 'failed', error.code);
    return false;
  }
}

function keyOf(attempt: { shardId: string; attempt: number }): string {
  return `${attempt.shardId}#${attempt.attempt}`;
}
