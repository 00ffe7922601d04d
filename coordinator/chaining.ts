import type { Bytes32 } from '../core/contract/digest.ts';
import type { Address, WorkReceipt } from '../core/contract/receipt.ts';
import { hashReceipt } from '../core/contract/receipt-hash.ts';
import type { ReceiptHead, ReceiptReads } from './store.ts';

/**
 * Makes the receipt that follows a worker's last one, and makes it anew where another coordinator's came first. Null where nothing is to be accepted
 * any more.
 */
export type Chaining = (
  worker: Address,
  follow: (head: ReceiptHead) => WorkReceipt,
  append: (receipt: WorkReceipt, hash: Bytes32) => Promise<'accepted' | 'moved' | 'over'>,
) => Promise<WorkReceipt | null>;

export function createChaining(store: Pick<ReceiptReads, 'receiptHead'>): Chaining {
  // Several acceptances of one worker may be on their way through the log: each follows the one before it, not what the store knows already.
  const ends = new Map<Address, { head: ReceiptHead; pending: number }>();

  return async (worker, follow, append) => {
    for (;;) {
      const end = ends.get(worker) ?? { head: store.receiptHead(worker), pending: 0 };
      const receipt = follow(end.head);
      const hash = hashReceipt(receipt);
      end.head = { sequence: receipt.sequence, hash };
      end.pending += 1;
      ends.set(worker, end);
      let outcome: 'accepted' | 'moved' | 'over' | undefined;
      try {
        outcome = await append(receipt, hash);
      } finally {
        end.pending -= 1;
        // What follows one that was not accepted is not either: the next begins where the store stands.
        if ((end.pending === 0 || outcome !== 'accepted') && ends.get(worker) === end) ends.delete(worker);
      }
      if (outcome === 'accepted') return receipt;
      if (outcome === 'over') return null;
    }
  };
}
