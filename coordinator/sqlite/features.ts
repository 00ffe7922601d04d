import type { Changes, PracticeBook, Reads } from '../store.ts';
import type { SqliteChanges } from './change.ts';
import { sqliteHolds } from './holds.ts';
import { sqliteJobs } from './jobs.ts';
import { sqliteLeases } from './leases.ts';
import { sqliteMembers } from './members.ts';
import type { OpenDatabase } from './open.ts';
import { sqliteOperating } from './operating.ts';
import { sqlitePayouts } from './payouts.ts';
import { sqlitePeers } from './peers.ts';
import { sqlitePractice } from './practice.ts';
import { sqliteReceipts } from './receipts.ts';
import { sqliteRequesters } from './requesters.ts';
import { sqliteStaging } from './staging.ts';
import { sqliteSuccessors } from './successors.ts';
import { sqliteTrust } from './trust.ts';
import { sqliteTwins } from './twins.ts';
import { sqliteVouching } from './vouching.ts';

/** What every feature reads and changes, over one database: its statements are made here, once. */
export function sqliteFeatures(
  database: OpenDatabase,
  network: string,
): { reads: Reads; changes: SqliteChanges<Changes>; book: PracticeBook } {
  const jobs = sqliteJobs(database, network);
  const leases = sqliteLeases(database);
  const receipts = sqliteReceipts(database);
  const holds = sqliteHolds(database);
  const requesters = sqliteRequesters(database, network);
  const trust = sqliteTrust(database);
  const twins = sqliteTwins(database);
  const payouts = sqlitePayouts(database);
  const members = sqliteMembers(database, payouts.book);
  const successors = sqliteSuccessors(database, payouts.book);
  const vouching = sqliteVouching(database);
  const peers = sqlitePeers(database);
  const staging = sqliteStaging(database);
  return {
    reads: {
      ...jobs.reads,
      ...leases.reads,
      ...receipts.reads,
      ...holds.reads,
      ...requesters.reads,
      ...trust.reads,
      ...twins.reads,
      ...members.reads,
      ...payouts.reads,
      ...successors.reads,
      ...vouching.reads,
      ...peers.reads,
      ...staging.reads,
      ...sqliteOperating(database),
    },
    changes: {
      ...jobs.changes,
      ...leases.changes,
      ...receipts.changes,
      ...holds.changes,
      ...requesters.changes,
      ...trust.changes,
      ...twins.changes,
      ...members.changes,
      ...payouts.changes,
      ...successors.changes,
      ...vouching.changes,
      ...peers.changes,
      ...staging.changes,
    },
    book: sqlitePractice(database),
  };
}
