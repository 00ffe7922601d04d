import type { Bytes32 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import { merkleRoot } from '../contract/merkle.ts';
import { priceOf } from '../contract/money.ts';
import { type Address, BATCH_RECEIPTS, type SignedBatch, type WorkReceipt } from '../contract/receipt.ts';
import type { batchSignedBy } from '../contract/receipt-hash.ts';
import type { Attempt } from './attempt.ts';

/** The end of a worker's chain of receipts of one network. Sequence 0 and 32 zero bytes before the first. */
export interface ReceiptHead {
  sequence: number;
  hash: Bytes32;
}

/**
 * Compares a receipt with what was agreed and computed. Pure; the amount is worked out anew, never believed.
 * @throws RECEIPT_INVALID naming the first field that differs
 */
export function checkReceipt(receipt: WorkReceipt, attempt: Attempt | undefined, head: ReceiptHead): void {
  const invalid = (detail: string) => new HearthlendError('RECEIPT_INVALID', { network: receipt.network, shard: receipt.shardId, detail });
  if (attempt === undefined) throw invalid('no such task was recorded here');
  if (attempt.units === null) throw invalid('the task was not computed here');
  const agreed: [keyof WorkReceipt, string | number, string | number | null][] = [
    ['jobId', receipt.jobId, attempt.jobId],
    ['worker', receipt.worker.toLowerCase(), attempt.worker.toLowerCase()],
    ['payee', receipt.payee.toLowerCase(), attempt.payee.toLowerCase()],
    ['modelHash', receipt.modelHash, attempt.model],
    ['inputHash', receipt.inputHash, attempt.inputs],
    ['outputCommitment', receipt.outputCommitment, attempt.outputs],
    ['units', receipt.units, attempt.units],
    ['unitPrice', receipt.unitPrice, attempt.unitPrice],
    ['amount', receipt.amount, priceOf(attempt.units, attempt.unitPrice).toString()],
    ['asset', receipt.asset, attempt.asset],
    ['sequence', receipt.sequence, head.sequence + 1],
    ['previousHash', receipt.previousHash, head.hash],
  ];
  for (const [field, found, expected] of agreed) {
    if (found !== expected) throw invalid(`its ${field} is ${found} where ${expected} is right`);
  }
  const shares = receipt.furtherPayees.reduce((sum, { shareBasisPoints }) => sum + shareBasisPoints, 0);
  if (shares > 10_000) throw invalid('it gives away more than the whole amount');
}

/** A receipt as a batch sees it. */
export interface BatchedReceipt {
  sequence: number;
  hash: Bytes32;
}

/**
 * Checks a batch against its worker's receipts recorded here and the batch before it, and its signatures as far as they are there. Pure.
 * @throws BATCH_INVALID saying what is wrong
 */
export function checkBatch(
  signed: SignedBatch,
  coordinator: Address,
  receipts: readonly BatchedReceipt[],
  before: { last: number; coordinator: string } | undefined,
  signedBy: typeof batchSignedBy,
): void {
  const { batch, coordinatorSignature, workerSignature } = signed;
  const invalid = (detail: string) => new HearthlendError('BATCH_INVALID', { network: batch.network, detail });
  if (batch.first !== (before?.last ?? 0) + 1) throw invalid(`it starts at receipt ${batch.first}, not after the batch before`);
  const size = batch.last - batch.first + 1;
  if (size < 1 || size > BATCH_RECEIPTS) throw invalid(`it holds ${size} receipts`);
  if (receipts.length !== size) throw invalid(`${size - receipts.length} of its receipts were not recorded here`);
  if (receipts.at(-1)?.hash !== batch.headHash) throw invalid('its head is not our last receipt');
  if (merkleRoot(receipts.map(({ hash }) => hash)) !== batch.merkleRoot) throw invalid('its Merkle root is not that of our receipts');
  if (before !== undefined && before.coordinator.toLowerCase() !== coordinator.toLowerCase())
    throw invalid('its coordinator is another one');
  if (!signedBy(batch, coordinatorSignature, coordinator)) throw invalid('the coordinator did not sign it');
  if (workerSignature !== null && !signedBy(batch, workerSignature, batch.worker)) throw invalid('this worker did not sign it');
}
