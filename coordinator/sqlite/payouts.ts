import type { WorkerDelegation } from '../../core/contract/delegation.ts';
import type { Address } from '../../core/contract/receipt.ts';
import { applyClaim, newPayout, type PayoutChanges, type PayoutReads, type PayoutRecord, saidIn } from '../joining/payouts.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';

interface PayoutRow {
  worker: string;
  payee: string;
  wallet: string | null;
  delegation: string | null;
  revoked_up_to: number | null;
  payee_nonce: number;
  next_payee: string | null;
  next_at: number | null;
  former: string;
}

/** What other changes need of it inside their own. */
export interface PayoutBook {
  /** Null where nothing is on record of a worker. */
  find(worker: Address): PayoutRecord | null;
  put(record: PayoutRecord): void;
}

export function sqlitePayouts({ db, read }: OpenDatabase): { reads: PayoutReads; changes: SqliteChanges<PayoutChanges>; book: PayoutBook } {
  const select = db.prepare<[string], PayoutRow>('SELECT * FROM payouts WHERE worker = ?');
  const selectMember = db.prepare<[string], { worker: string; payee: string }>(
    'SELECT worker, payee FROM members WHERE worker = ? ORDER BY joined_at DESC, nkey LIMIT 1',
  );
  const put = db.prepare('INSERT OR REPLACE INTO payouts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');

  const book: PayoutBook = {
    find(worker) {
      const row = select.get(worker);
      if (row !== undefined) return recordOf(row);
      const member = selectMember.get(worker);
      return member === undefined ? null : newPayout(member.worker, member.payee);
    },
    put({ worker, payee, wallet, delegation, revokedUpTo, payeeNonce, next, former }) {
      const signed = delegation === null ? null : JSON.stringify(delegation);
      put.run(worker, payee, wallet, signed, revokedUpTo, payeeNonce, next?.payee ?? null, next?.at ?? null, JSON.stringify(former));
    },
  };

  return {
    book,
    reads: {
      async payout(worker) {
        return read(() => book.find(worker));
      },
    },
    changes: {
      claim: {
        durable: 'at once',
        apply(claim, at, payeeDelayMs) {
          const before = book.find(saidIn(claim).worker);
          if (before === null) return 'unknown';
          const { outcome, record } = applyClaim(before, claim, at, payeeDelayMs);
          if (outcome === 'taken') book.put(record);
          return outcome;
        },
      },
    },
  };
}

function recordOf(row: PayoutRow): PayoutRecord {
  const { worker, payee, wallet, delegation, next_payee, next_at } = row;
  return {
    ...{ worker, payee, wallet, revokedUpTo: row.revoked_up_to, payeeNonce: row.payee_nonce },
    delegation: delegation === null ? null : (JSON.parse(delegation) as WorkerDelegation),
    next: next_payee === null || next_at === null ? null : { payee: next_payee, at: next_at },
    former: JSON.parse(row.former) as Address[],
  };
}
