import type { Migration } from '../migrate.ts';

/**
 * A network counts receipts for each worker apart, and a machine may have been several workers one after the other: receipts, batches and vouchers
 * are kept by worker too, whose address stands here in small letters.
 */
export const workers: Migration = {
  version: 4,
  up: `
    DROP INDEX vouchers_by_network;
    ALTER TABLE vouchers RENAME TO vouchers_of_one;
    ALTER TABLE batches RENAME TO batches_of_one;
    ALTER TABLE receipts RENAME TO receipts_of_one;

    CREATE TABLE receipts (
      network TEXT NOT NULL,
      worker TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      shardId TEXT NOT NULL,
      attempt INTEGER NOT NULL,
      body TEXT NOT NULL,
      hash TEXT NOT NULL,
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence),
      PRIMARY KEY (network, worker, sequence),
      FOREIGN KEY (network, shardId, attempt) REFERENCES attempts (network, shardId, attempt)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE batches (
      network TEXT NOT NULL,
      worker TEXT NOT NULL,
      first INTEGER NOT NULL,
      last INTEGER NOT NULL,
      merkleRoot TEXT NOT NULL,
      headHash TEXT NOT NULL,
      coordinator TEXT NOT NULL,
      coordinatorSignature TEXT NOT NULL,
      workerSignature TEXT NOT NULL,
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence),
      PRIMARY KEY (network, worker, last),
      FOREIGN KEY (network, worker, last) REFERENCES receipts (network, worker, sequence)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE vouchers (
      channel TEXT NOT NULL,
      epoch INTEGER NOT NULL,
      network TEXT NOT NULL,
      worker TEXT NOT NULL,
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

    INSERT INTO receipts SELECT network, lower(worker), sequence, shardId, attempt, body, hash, lastEntry FROM receipts_of_one;
    INSERT INTO batches SELECT network, lower(worker), first, last, merkleRoot, headHash, coordinator, coordinatorSignature,
      workerSignature, lastEntry FROM batches_of_one;
    INSERT INTO vouchers SELECT channel, epoch, network, lower(json_extract(signed, '$.voucher.worker')), asset, payee, first, last,
      cumulative, expected, signed, signer, at, lastEntry FROM vouchers_of_one;
    DROP TABLE vouchers_of_one;
    DROP TABLE batches_of_one;
    DROP TABLE receipts_of_one;
    CREATE INDEX vouchers_by_worker ON vouchers (network, worker, last);
  `,
};
