import { HearthlendError } from '../contract/errors.ts';
import { type MessageRef, ref } from '../contract/messages.ts';
import { batchOf } from '../contract/receipt-hash.ts';
import type { Submission } from '../contract/shard.ts';
import type { Outputs } from './outputs.ts';
import type { AttemptEnd, AttemptKey, ConnectedNetwork, WorkPorts } from './ports.ts';

/** What is handed in: the result as recorded. */
export interface Delivery {
  from: ConnectedNetwork;
  key: AttemptKey;
  submission: Submission;
  alreadySubmitted: boolean;
}

/**
 * Hands in a result that is durable already, and records the answer. Safe to repeat: the network gives the same answer to the same attempt.
 * @returns how the attempt ended; `open` where the network can't be reached now and the next start sends it again.
 * @returns `later` where it is accepted and a receipt before its own is not recorded yet.
 * @throws RECEIPT_INVALID where the network's receipt is wrong; nothing is recorded then.
 */
export async function deliver(
  ports: WorkPorts,
  outputs: Outputs,
  delivery: Delivery,
): Promise<AttemptEnd | { state: 'accepted' } | { state: 'later' }> {
  const { from, key, submission } = delivery;
  const bytes = await outputs.get(submission.commitment, key.shardId);
  if (!delivery.alreadySubmitted) ports.journal.submitted(key);
  const reply = await from.network.submit(submission, bytes);
  if (reply.type === 'accepted') {
    if (reply.receipt.sequence > ports.journal.receiptHead(from.info.id) + 1) return { state: 'later' };
    ports.journal.accepted([{ key, receipt: reply.receipt, audited: reply.audited }]);
    await ports.journal.durable();
    await outputs.drop([submission.commitment]);
    return { state: 'accepted' };
  }
  const end: AttemptEnd = reply.type === 'rejected' ? { state: 'rejected', code: reply.code, detail: reply.detail } : { state: reply.type };
  ports.journal.ended(key, end);
  if (end.state !== 'disputed') await outputs.drop([submission.commitment]);
  return end;
}

/**
 * Signs the batches that a network proposes, after checking each against the receipts recorded here and the coordinator's signature. Recorded
 * before it is sent, so that a crash in between repeats the sending, not the signing.
 * @throws BATCH_INVALID
 */
export async function signBatches(ports: WorkPorts, from: ConnectedNetwork, options?: { leaving: boolean }): Promise<void> {
  const { journal } = ports;
  const { id, coordinator } = from.info;
  for (const { batch, coordinatorSignature } of await from.network.pendingBatches(options)) {
    // A receipt still on its way here is not an error: the batch is proposed again once it is recorded.
    if (batch.last > journal.receiptHead(id)) return;
    const workerSignature = ports.signBatch(batch);
    const signed = { batch, coordinatorSignature, workerSignature };
    if (batch.last > journal.lastBatched(id)) {
      journal.checkBatch(signed, coordinator);
      journal.batchSigned(signed, coordinator);
    } else {
      // Recorded before a crash, and proposed again: the signature says nothing new, but only over the same receipts.
      const own = batchOf(journal.receipts(id, batch.first, batch.last));
      if (own.merkleRoot !== batch.merkleRoot || own.headHash !== batch.headHash || own.first !== batch.first || own.last !== batch.last) {
        throw new HearthlendError('BATCH_INVALID', { network: id, detail: 'it differs from the receipts that were signed before' });
      }
    }
    await from.network.countersign({ network: id, last: batch.last }, workerSignature);
  }
}

/** A fault of a network after which no more work is done for it, in words; null for every other error. */
export function networkFault(from: ConnectedNetwork, { code }: HearthlendError): MessageRef | null {
  const network = from.info.id;
  if (code === 'RECEIPT_INVALID' || code === 'BATCH_INVALID') return ref('reason.receipt-invalid', { network });
  if (code === 'NETWORK_ANSWER_INVALID' || code === 'LEASE_DOUBLED') return ref('reason.network-suspended', { network, code });
  return null;
}

const AWAY: readonly string[] = [
  'NETWORK_UNREACHABLE',
  'NETWORK_REFUSED',
  'NETWORK_REVOKED',
  'NETWORK_MEMBER_UNKNOWN',
  'NETWORK_CERTIFICATE_WRONG',
];

/** Whether a network can't be worked for just now and may be again later, by itself. */
export function isAway({ code }: HearthlendError): boolean {
  return AWAY.includes(code);
}
