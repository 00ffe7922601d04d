import type { Database } from 'better-sqlite3';
import { FIRST_PREVIOUS_HASH, type WorkReceipt } from '../../core/contract/receipt.ts';
import type { ReceiptChanges, ReceiptHead, ReceiptReads } from '../store.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';
import { type BatchRow, batchFrom } from './rows.ts';

interface ReceiptRow {
  receipt: string;
}

/** Where a worker's receipts end; before the first one, what the first follows. */
export function headReader(db: Database): (worker: string) => ReceiptHead {
  const select = db.prepare<[string], ReceiptHead>('SELECT sequence, hash FROM receipts WHERE worker = ? ORDER BY sequence DESC LIMIT 1');
  return (worker) => select.get(worker) ?? { sequence: 0, hash: FIRST_PREVIOUS_HASH };
}

export function sqliteReceipts({ db, read }: OpenDatabase): { reads: ReceiptReads; changes: SqliteChanges<ReceiptChanges> } {
  const headOf = headReader(db);
  const batched = 'COALESCE((SELECT MAX(last) FROM batches b WHERE b.worker = r.worker), 0)';
  const selectAfter = db.prepare<[string, number, number], ReceiptRow>(
    'SELECT receipt FROM receipts WHERE worker = ? AND sequence > ? ORDER BY sequence LIMIT ?',
  );
  const selectWorkers = db.prepare<[], { worker: string }>(
    // From worker to worker, without a look at every receipt.
    `WITH RECURSIVE r (worker) AS (
        SELECT MIN(worker) FROM receipts
        UNION ALL SELECT (SELECT MIN(n.worker) FROM receipts n WHERE n.worker > r.worker) FROM r WHERE r.worker IS NOT NULL)
      SELECT worker FROM r WHERE (SELECT MAX(n.sequence) FROM receipts n WHERE n.worker = r.worker) > ${batched}`,
  );
  const selectUnbatched = db.prepare<[string, number], ReceiptRow>(
    `SELECT receipt FROM receipts r WHERE worker = ? AND sequence > ${batched} ORDER BY sequence LIMIT ?`,
  );
  // Follows the batch before it, or is not added: two coordinators can't both close the same receipts.
  const insertBatch = db.prepare(
    `INSERT INTO batches SELECT :worker, :first, :last, :batch, :coordinatorSignature, :workerSignature
      WHERE :first = COALESCE((SELECT MAX(last) FROM batches WHERE worker = :worker), 0) + 1`,
  );
  const selectBatch = db.prepare<[string, number], BatchRow>('SELECT * FROM batches WHERE worker = ? AND last = ?');
  const selectPending = db.prepare<[string, number], BatchRow>(
    'SELECT * FROM batches WHERE worker = ? AND worker_signature IS NULL ORDER BY first LIMIT ?',
  );
  const sign = db.prepare('UPDATE batches SET worker_signature = ? WHERE worker = ? AND last = ? AND worker_signature IS NULL');
  const receiptFrom = (row: ReceiptRow) => JSON.parse(row.receipt) as WorkReceipt;

  return {
    reads: {
      receiptHead: (worker) => read(() => headOf(worker)),
      async receiptsAfter(worker, sequence, limit) {
        return read(() => selectAfter.all(worker, sequence, limit)).map(receiptFrom);
      },
      async workersWithUnbatched() {
        return read(() => selectWorkers.all()).map((row) => row.worker);
      },
      async unbatched(worker, limit) {
        return read(() => selectUnbatched.all(worker, limit)).map(receiptFrom);
      },
      async batch(worker, last) {
        const row = read(() => selectBatch.get(worker, last));
        return row === undefined ? null : batchFrom(row);
      },
      async pendingBatches(worker, limit) {
        return read(() => selectPending.all(worker, limit)).map(batchFrom);
      },
    },
    changes: {
      addBatch: {
        durable: 'together',
        apply({ batch, coordinatorSignature, workerSignature }) {
          const { worker, first, last } = batch;
          const row = { worker, first, last, batch: JSON.stringify(batch), coordinatorSignature, workerSignature };
          return insertBatch.run(row).changes === 1;
        },
      },
      countersign: {
        durable: 'together',
        apply(worker, last, signature) {
          sign.run(signature, worker, last);
        },
      },
    },
  };
}
