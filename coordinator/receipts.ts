import { priceOf } from '../core/contract/money.ts';
import type { WorkReceipt } from '../core/contract/receipt.ts';
import type { Shard, Submission } from '../core/contract/shard.ts';
import type { AttemptRecord, ReceiptHead } from './store.ts';

/** The receipt of an accepted attempt that follows `head`. @param at ms since 1970 */
export function receiptAfter(head: ReceiptHead, shard: Shard, attempt: AttemptRecord, submission: Submission, at: number): WorkReceipt {
  return {
    network: shard.network,
    jobId: shard.jobId,
    shardId: shard.id,
    attempt: attempt.attempt,
    worker: attempt.worker,
    payee: attempt.payee,
    furtherPayees: [],
    modelHash: shard.model.digest,
    inputHash: shard.inputs.digest,
    outputCommitment: submission.commitment,
    units: submission.units,
    unitPrice: shard.price.perUnit,
    amount: priceOf(submission.units, shard.price.perUnit).toString(),
    asset: shard.price.asset,
    time: Math.max(Math.floor(at / 1000), 0),
    sequence: head.sequence + 1,
    previousHash: head.hash,
  };
}
