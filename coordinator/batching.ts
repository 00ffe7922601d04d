import type { Bytes32 } from '../core/contract/digest.ts';
import { asHearthlendError, HearthlendError } from '../core/contract/errors.ts';
import { type Address, BATCH_RECEIPTS, BATCH_WINDOW_MS, type Signature } from '../core/contract/receipt.ts';
import { batchDigest, batchOf, batchSignedBy } from '../core/contract/receipt-hash.ts';
import type { Log } from './log.ts';
import type { ReceiptStore } from './store.ts';

/** The coordinator's key: it signs receipt batches. */
export interface CoordinatorSigner {
  readonly address: Address;
  signDigest(digest: Bytes32): Signature;
}

/** Closes batches of receipts: full ones at once, others a moment after their first receipt. */
export interface Batching {
  /** A receipt of this worker was recorded. */
  added(worker: Address): Promise<void>;
  /** Closes what is open of this worker: it leaves. */
  closeOf(worker: Address): Promise<void>;
  /** Closes what is open, of every worker: at a start, after a crash, and at the end, so that no receipt stays unsigned. */
  closeAll(): Promise<void>;
  /** Closes what is open since the last look, of every worker: another coordinator that would have has died. */
  closeLeft(): Promise<void>;
  /** @throws BATCH_INVALID */
  countersign(worker: Address, network: string, last: number, signature: Signature): Promise<void>;
  stop(): void;
}

export function createBatching(store: ReceiptStore, signer: CoordinatorSigner, log: Log, onBatch: (worker: Address) => void): Batching {
  const open = new Map<Address, { receipts: number; timer: NodeJS.Timeout }>();
  /** Where each worker's open receipts began at the last look. */
  let left = new Map<Address, number>();

  async function close(worker: Address): Promise<void> {
    clearTimeout(open.get(worker)?.timer);
    open.delete(worker);
    for (;;) {
      const receipts = await store.unbatched(worker, BATCH_RECEIPTS);
      if (receipts.length === 0) return;
      const batch = batchOf(receipts);
      const coordinatorSignature = signer.signDigest(batchDigest(batch));
      if (await store.addBatch({ batch, coordinatorSignature, workerSignature: null })) onBatch(worker);
    }
  }

  return {
    async added(worker) {
      const batch = open.get(worker);
      if (batch === undefined) {
        const timer = setTimeout(() => {
          // It stays open: the next receipt, or the next start, closes it.
          close(worker).catch((thrown: unknown) => log('error', 'batch-not-closed', { detail: asHearthlendError(thrown).message }));
        }, BATCH_WINDOW_MS);
        timer.unref();
        open.set(worker, { receipts: 1, timer });
        return;
      }
      batch.receipts += 1;
      if (batch.receipts >= BATCH_RECEIPTS) await close(worker);
    },
    closeOf: close,
    async closeAll() {
      for (const worker of await store.workersWithUnbatched()) await close(worker);
    },
    async closeLeft() {
      const open = new Map<Address, number>();
      for (const worker of await store.workersWithUnbatched()) {
        const [first] = await store.unbatched(worker, 1);
        if (first === undefined) continue;
        if (left.get(worker) === first.sequence) await close(worker);
        else open.set(worker, first.sequence);
      }
      left = open;
    },
    async countersign(worker, network, last, signature) {
      const signed = await store.batch(worker, last);
      if (signed === null) throw new HearthlendError('BATCH_INVALID', { network, detail: `there is no batch that ends at ${last}` });
      if (!batchSignedBy(signed.batch, signature, worker)) {
        throw new HearthlendError('BATCH_INVALID', { network, detail: `the batch that ends at ${last} is not signed by ${worker}` });
      }
      await store.countersign(worker, last, signature);
    },
    stop() {
      for (const { timer } of open.values()) clearTimeout(timer);
      open.clear();
    },
  };
}
