import type { Migration } from '../migrate.ts';

/**
 * The chain, and what is derived from it. `entries` can only be appended to, each entry onto the last one: also `INSERT OR REPLACE` meets the
 * gap check, since the only unique column is the sequence. Amounts are decimal strings, times milliseconds since 1970, and `lastEntry` is the
 * entry that a derived row was last changed by.
 */
export const entries: Migration = {
  version: 1,
  up: `
    CREATE TABLE entries (
      sequence INTEGER PRIMARY KEY,
      at INTEGER NOT NULL,
      kind TEXT NOT NULL,
      body TEXT NOT NULL,
      previousHash TEXT NOT NULL,
      hash TEXT NOT NULL CHECK (length(hash) = 64)
    ) STRICT;
    CREATE TRIGGER entries_are_chained BEFORE INSERT ON entries
    WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM entries)
      OR NEW.previousHash IS NOT coalesce((SELECT hash FROM entries ORDER BY sequence DESC LIMIT 1), '${'0'.repeat(64)}')
    BEGIN SELECT raise(ABORT, 'an entry must follow the last one'); END;
    CREATE TRIGGER entries_keep_their_content BEFORE UPDATE ON entries BEGIN SELECT raise(ABORT, 'entries are append-only'); END;
    CREATE TRIGGER entries_stay BEFORE DELETE ON entries BEGIN SELECT raise(ABORT, 'entries are append-only'); END;

    CREATE TABLE attempts (
      network TEXT NOT NULL,
      shardId TEXT NOT NULL,
      attempt INTEGER NOT NULL,
      state TEXT NOT NULL,
      jobId TEXT NOT NULL,
      kind TEXT NOT NULL,
      origin TEXT NOT NULL,
      model TEXT NOT NULL,
      inputs TEXT NOT NULL,
      asset TEXT NOT NULL,
      priceUnit TEXT NOT NULL,
      unitPrice TEXT NOT NULL,
      worker TEXT NOT NULL,
      payee TEXT NOT NULL,
      outputs TEXT,
      outputBytes INTEGER,
      units INTEGER,
      amount TEXT,
      runMs REAL,
      audited INTEGER NOT NULL,
      receiptSequence INTEGER,
      code TEXT,
      reason TEXT,
      leasedAt INTEGER NOT NULL,
      runningAt INTEGER,
      computedAt INTEGER,
      submittedAt INTEGER,
      at INTEGER NOT NULL,
      spanId INTEGER,
      firstEntry INTEGER NOT NULL REFERENCES entries (sequence),
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence),
      PRIMARY KEY (network, shardId, attempt)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX attempts_by_first_entry ON attempts (firstEntry);
    CREATE INDEX attempts_by_last_entry ON attempts (lastEntry);
    CREATE INDEX attempts_unfinished ON attempts (firstEntry)
    WHERE state IN ('leased', 'fetched', 'running', 'computed', 'submitted', 'disputed');

    CREATE TABLE receipts (
      network TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      shardId TEXT NOT NULL,
      attempt INTEGER NOT NULL,
      worker TEXT NOT NULL,
      body TEXT NOT NULL,
      hash TEXT NOT NULL,
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence),
      PRIMARY KEY (network, sequence),
      FOREIGN KEY (network, shardId, attempt) REFERENCES attempts (network, shardId, attempt)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE batches (
      network TEXT NOT NULL,
      first INTEGER NOT NULL,
      last INTEGER NOT NULL,
      worker TEXT NOT NULL,
      merkleRoot TEXT NOT NULL,
      headHash TEXT NOT NULL,
      coordinator TEXT NOT NULL,
      coordinatorSignature TEXT NOT NULL,
      workerSignature TEXT NOT NULL,
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence),
      PRIMARY KEY (network, last),
      FOREIGN KEY (network, last) REFERENCES receipts (network, sequence)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE totals (
      asset TEXT NOT NULL PRIMARY KEY,
      acceptedAmount TEXT NOT NULL,
      acceptedShards INTEGER NOT NULL,
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence)
    ) STRICT, WITHOUT ROWID;

    -- What was accepted in each quarter of an hour (slot = at / 900000): midnight lies at one in every time zone.
    CREATE TABLE slots (
      asset TEXT NOT NULL,
      slot INTEGER NOT NULL,
      acceptedAmount TEXT NOT NULL,
      acceptedShards INTEGER NOT NULL,
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence),
      PRIMARY KEY (asset, slot)
    ) STRICT, WITHOUT ROWID;

    -- Stretches of time that were worked through or set aside; toAt is null while one goes on. A sealed one is not continued after a gap.
    CREATE TABLE spans (
      id INTEGER PRIMARY KEY,
      kind TEXT NOT NULL,
      fromAt INTEGER NOT NULL,
      toAt INTEGER,
      reason TEXT,
      running INTEGER NOT NULL,
      sealed INTEGER NOT NULL,
      lastEntry INTEGER NOT NULL REFERENCES entries (sequence)
    ) STRICT;
    CREATE INDEX spans_by_end ON spans (toAt);
    CREATE INDEX spans_unsealed ON spans (id) WHERE sealed = 0;
  `,
};
