import type { Database } from 'better-sqlite3';
import type { Address } from '../contract/receipt.ts';
import { chainEnd, type StoredEntry } from './append.ts';
import { hashEntry } from './entry.ts';
import type { SignedHead } from './head.ts';
import { type Problem, problem } from './problem.ts';

/**
 * Compares the chain's end with the head that was signed: an end that lies before it was cut off, another hash in its place was rewritten.
 * `worker` is this machine's identity as far as it is known. A head may also be by the identity that the chain last recorded, or by that which it
 * had recorded where the head is: a new key may not have come to sign yet.
 */
export function checkEnd(db: Database, head: SignedHead | 'missing' | 'invalid', worker: Address | undefined): Problem[] {
  const end = chainEnd(db);
  const last = stored(db, end.sequence);
  if (last !== undefined && hashEntry(last.sequence, last.at, last.kind, last.body, last.previousHash) !== last.hash) {
    return [problem('ENTRY_CHANGED', last.sequence)];
  }
  if (head === 'missing') return end.sequence === 0 ? [] : [problem('HEAD_MISSING', end.sequence)];
  if (head === 'invalid') return [problem('HEAD_INVALID', null)];
  if (head.sequence > end.sequence) return [tailMissing(end.sequence, head)];
  if (head.sequence > 0 && stored(db, head.sequence)?.hash !== head.hash) return [problem('HEAD_DIFFERS', head.sequence)];
  const recorded = [recordedWorker(db, end.sequence), recordedWorker(db, head.sequence)];
  const signers = [worker, ...recorded].filter((signer) => signer !== undefined).map((signer) => signer.toLowerCase());
  return signers.length === 0 || signers.includes(head.worker.toLowerCase()) ? [] : [problem('HEAD_INVALID', null)];
}

/** What lies between an end and the one that was signed. */
export function tailMissing(sequence: number, head: SignedHead): Problem {
  return problem('TAIL_MISSING', sequence + 1, { last: head.sequence, count: head.sequence - sequence });
}

function stored(db: Database, sequence: number): StoredEntry | undefined {
  return db.prepare<[number], StoredEntry>('SELECT * FROM entries WHERE sequence = ?').get(sequence);
}

/** The identity that the chain has recorded up to an entry: by the last start, or by the last change of the worker's key. */
export function recordedWorker(db: Database, sequence: number): Address | undefined {
  const body = db
    .prepare<[number], string>(
      "SELECT body FROM entries WHERE kind IN ('agent.started', 'identity.rekeyed') AND sequence <= ? ORDER BY sequence DESC LIMIT 1",
    )
    .pluck()
    .get(sequence);
  if (body === undefined) return undefined;
  const { worker, to } = JSON.parse(body) as { worker?: Address; to?: Address };
  return to ?? worker;
}
