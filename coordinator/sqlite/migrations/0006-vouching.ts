/**
 * What the network has promised. Each epoch of a worker covers receipts `first` to `last` and has one voucher for every payee that they name. Times in
 * ms since 1970.
 */
export const vouching = `
CREATE TABLE epochs (
  worker TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (worker, last)
) STRICT, WITHOUT ROWID;
CREATE TABLE vouchers (
  worker TEXT NOT NULL,
  payee TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  last INTEGER NOT NULL,
  offer TEXT NOT NULL,
  PRIMARY KEY (worker, payee, asset, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX vouchers_by_last ON vouchers (worker, last);
`;
