import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { describeError } from '../contract/messages.ts';
import type { Address } from '../contract/receipt.ts';
import { batchSignedBy } from '../contract/receipt-hash.ts';
import type { LedgerVerification } from '../contract/rpc.ts';
import { storageError } from '../contract/storage-error.ts';
import { checkEnd, tailMissing } from './check-end.ts';
import { checkPages, checkSchema, compareDerived } from './compare.ts';
import { connectReader, connectWriter } from './connect.ts';
import { Derived } from './derived.ts';
import { readHead, type SignedHead } from './head.ts';
import { databaseVersion, MIGRATIONS, migrate } from './migrate.ts';
import type { Problem } from './problem.ts';
import { walkChain } from './walk.ts';

export interface VerifyOptions {
  /** The database file, which a running agent may be writing. */
  path: string;
  /** This machine's identity, where it is known. */
  worker?: Address;
  /** How a batch's signature is checked; whoever measures wants to know what that takes. */
  signedBy?: typeof batchSignedBy;
}

/** As many problems as are worth reading. */
const MAX_PROBLEMS = 100;

/** Work goes on between slices of this length. */
const SLICE_MS = 15;

/**
 * Checks a ledger: walks the chain, rebuilds the derived tables from it in a temporary database and compares them row by row, checks every
 * receipt and both signatures of every batch on the way, and that the end is not behind the head that was signed. Reads one snapshot in flat
 * memory; nothing is written. What is wrong is in `problems`. @throws DATABASE_NEWER, DATABASE_UNAVAILABLE, where it can't be read at all
 */
export async function verifyLedger({ path, worker, signedBy = batchSignedBy }: VerifyOptions): Promise<LedgerVerification> {
  // Before the snapshot: an agent that writes meanwhile only ever signs an end that the snapshot then has.
  const head = readHead(path);
  const report: LedgerVerification = { ok: true, entries: 0, receipts: 0, batches: 0, headHash: null, problems: [] };
  if (!existsSync(path)) {
    if (typeof head === 'object' && head.sequence > 0) report.problems.push(tailMissing(0, head));
    return { ...report, ok: report.problems.length === 0 };
  }
  try {
    await check(path, head, worker, signedBy, report);
  } catch (thrown) {
    const error = storageError(path, thrown);
    if (error.code !== 'DATABASE_CORRUPT') throw error;
    report.problems.push({ code: error.code, sequence: report.entries + 1, detail: describeError(error).what });
  }
  return { ...report, ok: report.problems.length === 0, problems: report.problems.slice(0, MAX_PROBLEMS) };
}

async function check(
  path: string,
  head: SignedHead | 'missing' | 'invalid',
  worker: Address | undefined,
  signedBy: typeof batchSignedBy,
  report: LedgerVerification,
): Promise<void> {
  const older = await inTodaysForm(path);
  const db = connectReader(older?.path ?? path);
  // An unnamed database is a temporary file, so that rebuilding takes no more memory than its cache. It is never rolled back.
  const rebuilt = new Database('');
  try {
    db.exec('BEGIN');
    migrate(rebuilt, path);
    for (const pragma of ['foreign_keys = OFF', 'synchronous = OFF', 'journal_mode = OFF']) rebuilt.pragma(pragma);
    rebuilt.exec('BEGIN');
    let until = performance.now() + SLICE_MS;
    const add = async (all: Iterable<Problem | undefined>) => {
      for (const found of all) {
        if (found !== undefined && report.problems.length < MAX_PROBLEMS) report.problems.push(found);
        if (performance.now() < until) continue;
        await setImmediate();
        until = performance.now() + SLICE_MS;
      }
    };
    await add(checkSchema(db, rebuilt));
    // A table that lacks or has other columns can't be read any further.
    if (report.problems.some(({ code }) => code === 'TABLE_CHANGED')) return;
    const before = report.problems.length;
    // What is only written and then read in order by its key is kept in no other order.
    for (const name of ['attempts_by_first_entry', 'attempts_by_last_entry', 'attempts_unfinished']) rebuilt.exec(`DROP INDEX ${name}`);
    await add(walkChain(db, new Derived(rebuilt, signedBy), report));
    const chainIsWhole = report.problems.length === before;
    await add(checkEnd(db, head, worker));
    // Rebuilt from a chain that isn't whole, every table would differ, and say nothing.
    if (chainIsWhole) await add(compareDerived(db, rebuilt));
    await add(checkPages(db, path));
  } finally {
    rebuilt.close();
    db.close();
    older?.remove();
  }
}

/** A copy of a ledger that an earlier version wrote, brought to today's form, since nothing is written to the one that is checked; null for today's. */
async function inTodaysForm(path: string): Promise<{ path: string; remove(): void } | null> {
  const db = connectReader(path);
  try {
    if (databaseVersion(db, path) === MIGRATIONS.length) return null;
    const folder = mkdtempSync(join(tmpdir(), 'hearthlend-verify-'));
    const copy = { path: join(folder, 'ledger.db'), remove: () => rmSync(folder, { recursive: true, force: true }) };
    try {
      await db.backup(copy.path);
      connectWriter(copy.path).close();
      return copy;
    } catch (thrown) {
      copy.remove();
      throw thrown;
    }
  } finally {
    db.close();
  }
}
