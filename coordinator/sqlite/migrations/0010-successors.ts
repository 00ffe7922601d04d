/** Which worker took the place of which, when (ms since 1970), and with what keys. */
export const successors = `
CREATE TABLE successors (
  worker TEXT PRIMARY KEY,
  nkey TEXT NOT NULL,
  former TEXT NOT NULL UNIQUE,
  former_nkey TEXT NOT NULL,
  former_payee TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;
