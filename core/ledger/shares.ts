import type { Database, Statement } from 'better-sqlite3';
import type { Amount, AssetId } from '../contract/money.ts';
import type { Address, WorkReceipt } from '../contract/receipt.ts';
import { splitAmount } from '../contract/vouching.ts';

/** What a network's receipts for one worker give to one payee, since the beginning. Addresses in small letters. */
export interface Share {
  network: string;
  worker: Address;
  asset: AssetId;
  payee: Address;
  amount: Amount;
  /** Receipts that are its own: of which it is the payee, and not a further one. */
  receipts: number;
}

interface Row extends Share {
  lastEntry: number;
}

/** More than these are read again. */
const MAX_HELD = 512;

/** What every payee has earned by the receipts on record: the parts of each make up its amount exactly. */
export class Shares {
  readonly #held = new Map<string, Row & { changed: boolean }>();
  readonly #row: Statement<[Omit<Share, 'amount' | 'receipts'>], Row>;
  readonly #put: Statement<[Row]>;
  readonly #all: Statement<[], Row>;
  readonly #of: Statement<[string], Row>;

  constructor(db: Database) {
    this.#row = db.prepare('SELECT * FROM shares WHERE network = @network AND worker = @worker AND asset = @asset AND payee = @payee');
    this.#put = db.prepare('INSERT OR REPLACE INTO shares VALUES (@network, @worker, @asset, @payee, @amount, @receipts, @lastEntry)');
    this.#all = db.prepare('SELECT * FROM shares ORDER BY network, worker, asset, payee');
    this.#of = db.prepare('SELECT * FROM shares WHERE network = ? ORDER BY worker, asset, payee');
  }

  add(receipt: WorkReceipt, entry: number): void {
    const { network, asset } = receipt;
    const worker = receipt.worker.toLowerCase();
    const own = receipt.payee.toLowerCase();
    for (const { payee, amount } of splitAmount(receipt)) {
      const before = this.#get({ network, worker, asset, payee });
      before.amount = (BigInt(before.amount) + amount).toString();
      before.receipts += payee === own ? 1 : 0;
      before.lastEntry = entry;
      before.changed = true;
    }
  }

  /** Belongs at the end of the transaction in which something was added. */
  settle(): void {
    for (const row of this.#held.values()) if (row.changed) this.#write(row);
    if (this.#held.size > MAX_HELD) this.#held.clear();
  }

  /** The transaction in which something was added came to nothing. */
  forget(): void {
    this.#held.clear();
  }

  /** All that is settled. */
  all(): Share[] {
    return this.#all.all().map(shareOf);
  }

  of(network: string): Share[] {
    return this.#of.all(network).map(shareOf);
  }

  #get(key: Omit<Share, 'amount' | 'receipts'>): Row & { changed: boolean } {
    const name = `${key.network} ${key.worker} ${key.asset} ${key.payee}`;
    const held = this.#held.get(name);
    if (held !== undefined) return held;
    const row = { ...(this.#row.get(key) ?? { ...key, amount: '0', receipts: 0, lastEntry: 0 }), changed: false };
    this.#held.set(name, row);
    return row;
  }

  #write(row: Row & { changed: boolean }): void {
    const { changed: _, ...stored } = row;
    this.#put.run(stored);
    row.changed = false;
  }
}

function shareOf({ lastEntry: _, ...share }: Row): Share {
  return share;
}
