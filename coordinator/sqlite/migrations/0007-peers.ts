/** The coordinators of a network, and where each is reached over HTTPS. Times in ms since 1970. */
export const peers = `
CREATE TABLE peers (
  id TEXT PRIMARY KEY,
  urls TEXT NOT NULL,
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;
