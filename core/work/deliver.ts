import type { Sha256 } from '../contract/digest.ts';
import { asHearthlendError } from '../contract/errors.ts';
import { ref } from '../contract/messages.ts';
import type { Submission } from '../contract/shard.ts';
import type { AttemptEnd, AttemptKey, ConnectedNetwork, WorkPorts } from './ports.ts';

/** What is handed in: the result as recorded, and the shard where it is still known. */
export interface Delivery {
  from: ConnectedNetwork;
  key: AttemptKey;
  submission: Submission;
  alreadySubmitted: boolean;
}

/**
 * Hands in a result that is durable already, and records the answer. Safe to repeat: the network gives the same answer to the same attempt.
 * @returns how the attempt ended; `open` where the network can't be reached now and the next start sends it again.
 * @throws RECEIPT_INVALID where the network's receipt is wrong; nothing is recorded then.
 */
export async function deliver(ports: WorkPorts, delivery: Delivery): Promise<AttemptEnd | { state: 'accepted' }> {
  const { from, key, submission } = delivery;
  const outputs = ports.spool.get(submission.commitment, key.shardId);
  if (!delivery.alreadySubmitted) ports.journal.submitted(key);
  const reply = await from.network.submit(submission, outputs);
  if (reply.type === 'accepted') {
    ports.journal.accepted(key, reply.receipt, reply.audited);
    drop(ports, submission.commitment);
    return { state: 'accepted' };
  }
  const end: AttemptEnd = reply.type === 'rejected' ? { state: 'rejected', code: reply.code, detail: reply.detail } : { state: reply.type };
  ports.journal.ended(key, end);
  if (end.state !== 'disputed') drop(ports, submission.commitment);
  return end;
}

/** Two attempts may have one result: its bytes go with the last of them. */
export function drop(ports: WorkPorts, commitment: Sha256): void {
  if (!ports.journal.isAwaited(commitment)) ports.spool.remove(commitment);
}

/**
 * Signs the batches that a network proposes, after checking each against the receipts recorded here and the coordinator's signature. Recorded
 * before it is sent, so that a crash in between repeats the sending, not the signing.
 * @throws BATCH_INVALID
 */
export async function signBatches(ports: WorkPorts, from: ConnectedNetwork): Promise<void> {
  const { journal } = ports;
  const { id, coordinator } = from.info;
  for (const { batch, coordinatorSignature } of await from.network.pendingBatches()) {
    // A receipt still on its way here is not an error: the batch is proposed again once it is recorded.
    if (batch.last > journal.receiptHead(id)) return;
    // What was recorded before a crash and is proposed again is sent again as it was signed then, whatever is proposed now.
    let workerSignature = journal.signedBatch(id, batch.last)?.workerSignature ?? null;
    if (workerSignature === null) {
      workerSignature = ports.signBatch(batch);
      journal.batchSigned({ batch, coordinatorSignature, workerSignature }, coordinator);
    }
    await from.network.countersign({ network: id, last: batch.last }, workerSignature);
  }
}

/** A fault of a network after which no more work is taken from it; undefined for every other error. */
export function networkFault(from: ConnectedNetwork, thrown: unknown): ReturnType<typeof ref> | undefined {
  const { code } = asHearthlendError(thrown);
  if (code === 'RECEIPT_INVALID' || code === 'BATCH_INVALID') return ref('reason.receipt-invalid', { network: from.info.id });
  return undefined;
}
