import type { Database } from 'better-sqlite3';
import type { WorkReceipt } from '../../contract/receipt.ts';
import { Earned } from '../earned.ts';
import type { Migration } from '../migrate.ts';
import { Shares } from '../shares.ts';

/**
 * What was earned, as sums from the beginning up to each quarter of an hour (slot = at / 900000): of everything, and by network, model and device, in each
 * asset; and what receipts give to each payee. They take the place of `totals`, `slots` and `promises`, which knew the asset alone. Amounts are
 * decimal strings, energy is in millijoules, names are empty where nothing is on record. An attempt also has what computed it, and the energy of its run.
 */
export const earned: Migration = {
  version: 5,
  up: `
    ALTER TABLE attempts ADD COLUMN device TEXT;
    ALTER TABLE attempts ADD COLUMN millijoules INTEGER;
    ALTER TABLE attempts ADD COLUMN energyEstimated INTEGER;
    CREATE TABLE earned (
      part TEXT NOT NULL,
      name TEXT NOT NULL,
      asset TEXT NOT NULL,
      slot INTEGER NOT NULL,
      accepted TEXT NOT NULL,
      acceptedShards INTEGER NOT NULL,
      promised TEXT NOT NULL,
      paid TEXT NOT NULL,
      measured INTEGER NOT NULL,
      estimated INTEGER NOT NULL,
      knownShards INTEGER NOT NULL,
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence),
      PRIMARY KEY (part, name, asset, slot)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE shares (
      network TEXT NOT NULL,
      worker TEXT NOT NULL,
      asset TEXT NOT NULL,
      payee TEXT NOT NULL,
      amount TEXT NOT NULL,
      receipts INTEGER NOT NULL,
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence),
      PRIMARY KEY (network, worker, asset, payee)
    ) STRICT, WITHOUT ROWID;
    DROP TABLE totals;
    DROP TABLE slots;
    DROP TABLE promises;
  `,
  fill(db) {
    fillEarned(db);
    fillShares(db);
  },
};

interface Step {
  entry: number;
  at: number;
  what: 'accepted' | 'voucher' | 'claim';
  network: string | null;
  model: string | null;
  asset: string;
  amount: string;
  channel: string | null;
}

/** Everything that is summed up, in the order of the entries. A voucher's amount is cumulative, and a claim's network is that of its channel. */
const STEPS = `
  SELECT lastEntry AS entry, at, 'accepted' AS what, network, model, asset, amount, NULL AS channel FROM attempts WHERE state = 'accepted'
  UNION ALL SELECT lastEntry, at, 'voucher', network, NULL, asset, cumulative, channel FROM vouchers
  UNION ALL SELECT lastEntry, at, 'claim', NULL, NULL, asset, amount, channel FROM claims
  ORDER BY entry`;

function fillEarned(db: Database): void {
  const earned = new Earned(db);
  const channels = new Map<string, { network: string; cumulative: bigint }>();
  // All at once: a database is not written while a statement on it is half read.
  for (const { entry, at, what, network, model, asset, amount, channel } of db.prepare<[], Step>(STEPS).all()) {
    if (what === 'accepted') {
      const names = { network: network ?? '', model: model ?? '', device: '' };
      earned.add(asset, names, at, { accepted: BigInt(amount), acceptedShards: 1 }, entry);
      continue;
    }
    const before = channels.get(channel ?? '') ?? { network: network ?? '', cumulative: 0n };
    if (what === 'claim') earned.add(asset, { network: before.network }, at, { paid: BigInt(amount) }, entry);
    else {
      earned.add(asset, { network: before.network }, at, { promised: BigInt(amount) - before.cumulative }, entry);
      channels.set(channel ?? '', { network: before.network, cumulative: BigInt(amount) });
    }
  }
  earned.settle();
}

function fillShares(db: Database): void {
  const shares = new Shares(db);
  const receipts = db.prepare<[], { body: string; entry: number }>('SELECT body, lastEntry AS entry FROM receipts ORDER BY lastEntry');
  for (const { body, entry } of receipts.iterate()) {
    shares.add(JSON.parse(body) as WorkReceipt, entry);
  }
  shares.settle();
}
