/** Whom each worker earns for, and where that is paid, since somebody said so. Times in ms since 1970; `delegation` and `former` are JSON. */
export const payouts = `
CREATE TABLE payouts (
  worker TEXT PRIMARY KEY,
  payee TEXT NOT NULL,
  -- The wallet that has signed for the worker.
  wallet TEXT,
  delegation TEXT,
  revoked_up_to INTEGER,
  payee_nonce INTEGER NOT NULL,
  next_payee TEXT,
  next_at INTEGER,
  -- Payees of before, the latest last: what was earned for them is promised to them.
  former TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`;
