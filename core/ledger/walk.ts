import type { Database } from 'better-sqlite3';
import { HearthlendError } from '../contract/errors.ts';
import { describeError } from '../contract/messages.ts';
import type { LedgerVerification } from '../contract/rpc.ts';
import type { StoredEntry } from './append.ts';
import type { Derived } from './derived.ts';
import { ENTRY_BODIES, type Entry, type EntryKind, FIRST_PREVIOUS_HASH, hashEntry } from './entry.ts';
import { type Problem, problem } from './problem.ts';

/** The body as bytes: text that is no UTF-8 would read as if it were another. */
type Row = Omit<StoredEntry, 'body'> & { body: Buffer };

/**
 * Walks the chain from its first entry and counts into `report`. Yields every problem, and undefined where an entry is right. As long as
 * everything is right, each entry is also taken into `derived`, which checks states, receipts and batches.
 */
export function* walkChain(db: Database, derived: Derived, report: LedgerVerification): Generator<Problem | undefined, void, undefined> {
  const rows = db.prepare<[], Row>(
    'SELECT sequence, at, kind, CAST(body AS BLOB) AS body, previousHash, hash FROM entries ORDER BY sequence',
  );
  let sequence = 0;
  let at = 0;
  let whole = true;
  let openReceipt: Entry<'receipt'> | undefined;
  // What the next entry may name as the one before: the hash as stored and, where that was changed, as it should be.
  let hashes = [FIRST_PREVIOUS_HASH];
  for (const row of rows.iterate()) {
    const hash = hashEntry(row.sequence, row.at, row.kind, row.body, row.previousHash);
    const found = checkRow(row, hash, sequence, hashes);
    yield* found;
    whole &&= found.length === 0;
    const body = whole ? row.body.toString('utf8') : '';
    const entry = whole ? entryOf(row, body) : undefined;
    if (entry !== undefined) {
      if (openReceipt !== undefined && !accepts(entry, openReceipt)) yield problem('RECEIPT_OPEN', openReceipt.sequence);
      openReceipt = entry.kind === 'receipt' ? entry : undefined;
      const illegal = applied(derived, entry, at, body);
      if (illegal !== undefined) yield illegal;
      whole = illegal === undefined;
    } else if (whole) {
      whole = false;
      yield problem('ENTRY_CHANGED', row.sequence);
    }
    hashes = [row.hash, hash];
    ({ sequence, at } = row);
    report.entries += 1;
    report.receipts += row.kind === 'receipt' ? 1 : 0;
    report.batches += row.kind === 'batch' ? 1 : 0;
    report.headHash = row.hash;
    yield undefined;
  }
  if (openReceipt !== undefined) yield problem('RECEIPT_OPEN', openReceipt.sequence);
  derived.settle();
}

function checkRow(row: Row, hash: string, previousSequence: number, previousHashes: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  const missing = row.sequence - previousSequence - 1;
  if (missing > 0) problems.push(problem('ENTRY_MISSING', previousSequence + 1, { last: row.sequence - 1, count: missing }));
  if (hash !== row.hash) {
    problems.push(problem('ENTRY_CHANGED', row.sequence));
  } else if (missing === 0 && !previousHashes.includes(row.previousHash)) {
    problems.push(problem('CHAIN_BROKEN', row.sequence));
  }
  return problems;
}

/** The entry in a row whose hash is right; undefined where it holds what no Hearthlend writes. */
function entryOf({ sequence, at, kind }: Row, json: string): Entry | undefined {
  if (!Object.hasOwn(ENTRY_BODIES, kind)) return undefined;
  try {
    const parsed = ENTRY_BODIES[kind as EntryKind].safeParse(JSON.parse(json));
    return parsed.success ? ({ sequence, at, kind, body: parsed.data } as Entry) : undefined;
  } catch {
    return undefined;
  }
}

function accepts(entry: Entry, { body: receipt }: Entry<'receipt'>): boolean {
  return entry.kind === 'shard.accepted' && entry.body.network === receipt.network && entry.body.receiptSequence === receipt.sequence;
}

function applied(derived: Derived, entry: Entry, previousAt: number, json: string): Problem | undefined {
  try {
    derived.apply(entry, previousAt, json);
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof HearthlendError)) throw thrown;
    return { code: thrown.code, sequence: entry.sequence, detail: describeError(thrown).what };
  }
}
