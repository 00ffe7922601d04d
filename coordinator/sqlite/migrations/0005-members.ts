/** Who may connect: invitations by the SHA-256 of their secret, and the machines that joined by one. Times in ms since 1970. */
export const members = `
CREATE TABLE invitations (
  secret_hash TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  -- The machine that used it.
  nkey TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
  nkey TEXT PRIMARY KEY,
  worker TEXT NOT NULL,
  payee TEXT NOT NULL,
  version TEXT NOT NULL,
  joined_at INTEGER NOT NULL,
  revoked_at INTEGER,
  -- 'revoked' by the operator, or 'replaced' where the same worker joined again.
  revoked_why TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_worker ON members (worker);
`;
