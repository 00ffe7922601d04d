import type { Database } from 'better-sqlite3';

/** Takes a ledger back to the form that it had before sums were kept by network, model and device. What is derived is not filled in. */
export function asBeforeEarned(db: Database): void {
  db.exec(`
    DROP TABLE earned;
    DROP TABLE shares;
    ALTER TABLE attempts DROP COLUMN energyEstimated;
    ALTER TABLE attempts DROP COLUMN millijoules;
    ALTER TABLE attempts DROP COLUMN device;
    CREATE TABLE totals (asset TEXT);
    CREATE TABLE slots (asset TEXT);
    CREATE TABLE promises (asset TEXT);
  `);
  db.pragma('user_version = 4');
}
