/** Times in ms since 1970. Structures are JSON text. */
export const trust = `
CREATE TABLE standings (
  worker TEXT PRIMARY KEY,
  valid_in_a_row INTEGER NOT NULL,
  -- Times of bad audits, oldest first.
  offences TEXT NOT NULL,
  valid INTEGER NOT NULL,
  bad INTEGER NOT NULL,
  undecided INTEGER NOT NULL,
  suspended_until INTEGER
) STRICT;

CREATE TABLE audits (
  number INTEGER PRIMARY KEY,
  shard_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  worker TEXT NOT NULL,
  at INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('valid', 'bad', 'undecided')),
  means TEXT NOT NULL CHECK (means IN ('reference', 'worker', 'canary', 'form')),
  distance REAL,
  detail TEXT NOT NULL,
  UNIQUE (shard_id, attempt)
) STRICT;
CREATE INDEX audits_by_worker ON audits (worker, number);

CREATE TABLE appeals (
  number INTEGER PRIMARY KEY,
  shard_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  record TEXT NOT NULL,
  UNIQUE (shard_id, attempt)
) STRICT;

CREATE TABLE calibrations (
  model TEXT NOT NULL,
  claimed TEXT NOT NULL,
  reference TEXT NOT NULL,
  calibration TEXT NOT NULL,
  PRIMARY KEY (model, claimed, reference)
) STRICT;

CREATE TABLE canary_sources (
  number INTEGER PRIMARY KEY,
  shard_id TEXT NOT NULL UNIQUE,
  worker TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  outputs TEXT NOT NULL,
  added_at INTEGER NOT NULL,
  shard TEXT NOT NULL
) STRICT;

CREATE TABLE canaries (
  shard_id TEXT PRIMARY KEY,
  source TEXT NOT NULL,
  worker TEXT NOT NULL,
  -- The answer outlives its source.
  outputs TEXT NOT NULL
) STRICT;
CREATE INDEX canaries_by_worker ON canaries (worker, source);
`;
