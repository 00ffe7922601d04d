import type { Migration } from '../migrate.ts';

/**
 * What networks have promised to pay, and what was paid. A channel is the hash of payer, worker, payee, asset and contract. `first` to `last` are the
 * network's receipts that an epoch covers, `expected` what its cumulative amount should be by them. Amounts are decimal strings in base units.
 */
export const vouchers: Migration = {
  version: 3,
  up: `
    CREATE TABLE vouchers (
      channel TEXT NOT NULL,
      epoch INTEGER NOT NULL,
      network TEXT NOT NULL,
      asset TEXT NOT NULL,
      payee TEXT NOT NULL,
      first INTEGER NOT NULL,
      last INTEGER NOT NULL,
      cumulative TEXT NOT NULL,
      expected TEXT NOT NULL,
      signed TEXT NOT NULL,
      signer TEXT NOT NULL,
      at INTEGER NOT NULL,
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence),
      PRIMARY KEY (channel, epoch)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX vouchers_by_network ON vouchers (network, last);
    CREATE TABLE claims (
      channel TEXT NOT NULL,
      cumulative TEXT NOT NULL,
      asset TEXT NOT NULL,
      amount TEXT NOT NULL,
      transactionHash TEXT,
      block INTEGER NOT NULL,
      at INTEGER NOT NULL,
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence),
      PRIMARY KEY (channel, cumulative)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE promises (
      asset TEXT NOT NULL PRIMARY KEY,
      promised TEXT NOT NULL,
      paid TEXT NOT NULL,
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence)
    ) STRICT, WITHOUT ROWID;
  `,
};
