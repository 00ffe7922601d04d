/** Amounts are decimal strings of base units. Times in ms since 1970. */
export const requesters = `
CREATE TABLE requesters (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  budget TEXT,
  spent TEXT NOT NULL DEFAULT '0'
) STRICT;

CREATE TABLE job_terms (
  job_id TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  -- No reference: a key may go, and what its jobs cost stays true.
  requester TEXT,
  asset TEXT NOT NULL,
  unit TEXT NOT NULL CHECK (unit IN ('run', 'token')),
  per_unit TEXT NOT NULL,
  max_units INTEGER NOT NULL,
  units INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX job_terms_by_requester ON job_terms (requester) WHERE requester IS NOT NULL;
`;
