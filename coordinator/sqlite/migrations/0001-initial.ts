/** Amounts and structures are JSON text as the contract writes them; columns beside it are what is searched. Times in ms since 1970. */
export const initial = `
CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
  created_at INTEGER NOT NULL,
  finished_at INTEGER,
  shards INTEGER NOT NULL,
  accepted INTEGER NOT NULL DEFAULT 0 CHECK (accepted <= shards),
  error TEXT
) STRICT;
CREATE INDEX jobs_by_time ON jobs (created_at);

CREATE TABLE shards (
  id TEXT PRIMARY KEY,
  job_id TEXT NOT NULL,
  origin TEXT NOT NULL CHECK (origin IN ('practice', 'own', 'network')),
  state TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'settling', 'done', 'failed', 'cancelled')),
  attempt INTEGER NOT NULL DEFAULT 0,
  prompt_tokens INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  settled_at INTEGER,
  shard TEXT NOT NULL
) STRICT;
CREATE INDEX shards_open ON shards (origin, created_at) WHERE state IN ('queued', 'leased', 'settling');
CREATE INDEX shards_queued ON shards (origin = 'practice', created_at) WHERE state = 'queued';
CREATE INDEX shards_by_job ON shards (job_id);

CREATE TABLE attempts (
  shard_id TEXT NOT NULL REFERENCES shards (id),
  attempt INTEGER NOT NULL,
  worker TEXT NOT NULL,
  payee TEXT NOT NULL,
  state TEXT NOT NULL
    CHECK (state IN ('leased', 'submitted', 'disputed', 'accepted', 'rejected', 'released', 'failed', 'expired', 'cancelled')),
  leased_at INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  settled_at INTEGER,
  reason TEXT,
  failure TEXT,
  submission TEXT,
  run_ms REAL,
  audit INTEGER,
  reply TEXT,
  PRIMARY KEY (shard_id, attempt)
) STRICT;
CREATE INDEX attempts_open ON attempts (deadline) WHERE state IN ('leased', 'submitted', 'disputed');
CREATE INDEX attempts_by_time ON attempts (settled_at);

CREATE TABLE receipts (
  worker TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  -- Nothing is accepted twice, whatever the code above does.
  shard_id TEXT NOT NULL UNIQUE,
  hash TEXT NOT NULL,
  receipt TEXT NOT NULL,
  PRIMARY KEY (worker, sequence)
) STRICT;

CREATE TABLE batches (
  worker TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  batch TEXT NOT NULL,
  coordinator_signature TEXT NOT NULL,
  worker_signature TEXT,
  PRIMARY KEY (worker, first),
  UNIQUE (worker, last)
) STRICT;
CREATE INDEX batches_pending ON batches (worker, first) WHERE worker_signature IS NULL;

CREATE TABLE blob_holds (
  holder TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (holder, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_holds_by_digest ON blob_holds (digest);

CREATE TABLE practice_days (day TEXT PRIMARY KEY, shards INTEGER NOT NULL, ms INTEGER NOT NULL) STRICT;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO counters VALUES ('practice', 0);
`;
