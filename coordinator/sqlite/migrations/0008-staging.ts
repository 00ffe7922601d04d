/** Which coordinator drives a staged generation. Times in ms since 1970. */
export const staging = `
CREATE TABLE drivers (
  job_id TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  coordinator TEXT NOT NULL,
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What each stage of one has to hand in, once it is over.
CREATE TABLE stage_results (
  shard_id TEXT NOT NULL REFERENCES shards (id) ON DELETE CASCADE,
  attempt INTEGER NOT NULL,
  commitment TEXT NOT NULL,
  units INTEGER NOT NULL,
  PRIMARY KEY (shard_id, attempt)
) STRICT, WITHOUT ROWID;
`;
