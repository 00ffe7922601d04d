import type { WorkReceipt } from '../../core/contract/receipt.ts';
import type { OfferedVoucher } from '../../core/contract/voucher.ts';
import type { VouchingChanges, VouchingReads } from '../vouching/records.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';

export function sqliteVouching({ db, read }: OpenDatabase): { reads: VouchingReads; changes: SqliteChanges<VouchingChanges> } {
  // The worker signs its batches in their order, so what it has signed reaches to the first that it has not.
  const signedTo = `COALESCE(
    (SELECT MIN(first) - 1 FROM batches b WHERE b.worker = w.worker AND b.worker_signature IS NULL),
    (SELECT MAX(last) FROM batches b WHERE b.worker = w.worker), 0)`;
  const vouchedTo = 'COALESCE((SELECT MAX(last) FROM epochs e WHERE e.worker = w.worker), 0)';
  const selectWorkers = db.prepare<[], { worker: string }>(
    `SELECT w.worker FROM (SELECT DISTINCT worker FROM batches) w WHERE ${signedTo} > ${vouchedTo} ORDER BY w.worker`,
  );
  const selectReceipts = db.prepare<[{ worker: string; limit: number }], { receipt: string }>(
    `WITH w (worker) AS (VALUES (:worker))
      SELECT r.receipt FROM receipts r, w WHERE r.worker = w.worker AND r.sequence > ${vouchedTo} AND r.sequence <= ${signedTo}
      ORDER BY r.sequence LIMIT :limit`,
  );
  const selectLatest = db.prepare<[string, string, string], { offer: string }>(
    'SELECT offer FROM vouchers WHERE worker = ? AND payee = ? AND asset = ? ORDER BY epoch DESC LIMIT 1',
  );
  const selectAfter = db.prepare<[string, string, number, number], { offer: string }>(
    'SELECT offer FROM vouchers WHERE worker = ? AND payee = ? AND last > ? ORDER BY last, asset LIMIT ?',
  );
  const selectAll = db.prepare<[], { worker: string; payee: string; token: string; amount: string }>(
    `SELECT worker, payee, asset AS token, offer ->> '$.signed.voucher.cumulativeAmount' AS amount FROM vouchers v
      WHERE epoch = (SELECT MAX(epoch) FROM vouchers l WHERE l.worker = v.worker AND l.payee = v.payee AND l.asset = v.asset)`,
  );
  const selectCovered = db.prepare<[string], { last: number | null }>('SELECT MAX(last) AS last FROM epochs WHERE worker = ?');
  const insertEpoch = db.prepare('INSERT INTO epochs VALUES (?, ?, ?, ?)');
  const insertVoucher = db.prepare('INSERT INTO vouchers VALUES (?, ?, ?, ?, ?, ?)');
  const offerFrom = ({ offer }: { offer: string }) => JSON.parse(offer) as OfferedVoucher;

  return {
    reads: {
      async workersToVouch() {
        return read(() => selectWorkers.all()).map(({ worker }) => worker);
      },
      async unvouched(worker, limit) {
        return read(() => selectReceipts.all({ worker, limit })).map(({ receipt }) => JSON.parse(receipt) as WorkReceipt);
      },
      async latestVoucher(worker, payee, asset) {
        const row = read(() => selectLatest.get(worker, payee.toLowerCase(), asset));
        return row === undefined ? null : offerFrom(row).signed.voucher;
      },
      async vouchersAfter(worker, payee, last, limit) {
        return read(() => selectAfter.all(worker, payee.toLowerCase(), last, limit)).map(offerFrom);
      },
      async promises() {
        return read(() => selectAll.all()).map(({ amount, ...channel }) => ({ ...channel, amount: BigInt(amount) }));
      },
    },
    changes: {
      vouch: {
        durable: 'at once',
        apply(worker, { first, last }, vouchers, at) {
          if ((selectCovered.get(worker)?.last ?? 0) + 1 !== first) return false;
          insertEpoch.run(worker, first, last, at);
          for (const offer of vouchers) {
            const { payee, asset, epoch } = offer.signed.voucher;
            insertVoucher.run(worker, payee.toLowerCase(), asset, epoch, last, JSON.stringify(offer));
          }
          return true;
        },
      },
    },
  };
}
