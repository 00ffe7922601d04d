import { asHearthlendError, HearthlendError } from '../contract/errors.ts';
import { afterCrash } from '../contract/shard-state.ts';
import { deliver } from './deliver.ts';
import type { Outputs } from './outputs.ts';
import type { AttemptEnd, AttemptKey, ConnectedNetwork, OpenAttempt, WorkPorts } from './ports.ts';

/** An attempt that was left open, and how it ended. */
export interface Settled {
  key: AttemptKey;
  end: AttemptEnd | { state: 'accepted' };
}

/**
 * Puts in order what a crash or a full disk left open with a network: takes up receipts that were assigned but not recorded, sends results
 * that were computed but not answered, hands back what was only begun. Runs before any new lease, so that receipts stay in sequence.
 */
export async function recover(ports: WorkPorts, outputs: Outputs, from: ConnectedNetwork): Promise<Settled[]> {
  const open = ports.journal.unfinished().filter((attempt) => attempt.network === from.info.id);
  const settled = await takeReceipts(ports, outputs, from, open);
  const known = new Set(settled.map(({ key }) => keyOf(key)));
  for (const attempt of open) {
    if (known.has(keyOf(attempt))) continue;
    const next = afterCrash(attempt.state);
    if (next === 'release') {
      await from.network.release(attempt.shardId, attempt.attempt, 'stopped', null);
      const end = { state: 'released', code: 'restart' } as const;
      ports.journal.ended(attempt, end);
      settled.push({ key: attempt, end });
    } else if (next === 'resubmit' && attempt.result !== null) {
      const end = await resubmit(ports, outputs, from, attempt, attempt.result);
      if (end.state === 'later') {
        // Others that were handed in before were answered meanwhile.
        for (const each of await takeReceipts(ports, outputs, from, open)) {
          settled.push(each);
          known.add(keyOf(each.key));
        }
        if (!known.has(keyOf(attempt))) {
          const detail = 'its receipt does not follow the one before';
          throw new HearthlendError('RECEIPT_INVALID', { network: from.info.id, shard: attempt.shardId, detail });
        }
      } else settled.push({ key: attempt, end });
    }
  }
  return settled;
}

/** Records receipts that the network assigned while nobody here could write them down. */
async function takeReceipts(ports: WorkPorts, outputs: Outputs, from: ConnectedNetwork, open: OpenAttempt[]): Promise<Settled[]> {
  const settled: Settled[] = [];
  for (const receipt of await from.network.receiptsSince(ports.journal.receiptHead(from.info.id))) {
    const key = { network: from.info.id, shardId: receipt.shardId, attempt: receipt.attempt };
    const attempt = open.find((each) => keyOf(each) === keyOf(key));
    if (attempt?.state === 'computed') ports.journal.submitted(attempt);
    // For work that is not open here the journal refuses the receipt: nobody is credited for what was not recorded first.
    ports.journal.accepted([{ key, receipt, audited: false }]);
    await ports.journal.durable();
    if (attempt?.result != null) await outputs.drop([attempt.result.commitment]);
    settled.push({ key, end: { state: 'accepted' } });
  }
  return settled;
}

async function resubmit(
  ports: WorkPorts,
  outputs: Outputs,
  from: ConnectedNetwork,
  attempt: OpenAttempt,
  result: NonNullable<OpenAttempt['result']>,
): Promise<Awaited<ReturnType<typeof deliver>>> {
  const submission = { shardId: attempt.shardId, attempt: attempt.attempt, ...result };
  try {
    const end = await deliver(ports, outputs, { from, key: attempt, submission, alreadySubmitted: attempt.state === 'submitted' });
    attempt.state = 'submitted';
    return end;
  } catch (thrown) {
    const { code } = asHearthlendError(thrown);
    if (code !== 'SPOOL_LOST' && code !== 'DIGEST_MISMATCH') throw thrown;
    // The recorded result has no bytes any more: from computed the attempt fails; a submitted one can only expire.
    const lost: AttemptEnd = attempt.state === 'computed' ? { state: 'failed', code, detail: '' } : { state: 'expired' };
    ports.journal.ended(attempt, lost);
    await outputs.drop([result.commitment]);
    await from.network.release(attempt.shardId, attempt.attempt, 'failed', code);
    return lost;
  }
}

function keyOf(attempt: { shardId: string; attempt: number }): string {
  return `${attempt.shardId}#${attempt.attempt}`;
}
