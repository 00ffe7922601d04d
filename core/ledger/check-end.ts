import type { Database } from 'better-sqlite3';
import type { Address } from '../contract/receipt.ts';
import { chainEnd, type StoredEntry } from './append.ts';
import { hashEntry } from './entry.ts';
import type { SignedHead } from './head.ts';
import { type Problem, problem } from './problem.ts';

/**
 * Compares the chain's end with the head that was signed: an end that lies before it was cut off, another hash in its place was rewritten.
 * `worker` is this machine's identity as far as it is known; a head may also be by the identity that the last start recorded.
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
  const signers = [worker, lastWorker(db)].filter((signer) => signer !== undefined).map((signer) => signer.toLowerCase());
  return signers.length === 0 || signers.includes(head.worker.toLowerCase()) ? [] : [problem('HEAD_INVALID', null)];
}

/** What lies between an end and the one that was signed. */
export function tailMissing(sequence: number, head: SignedHead): Problem {
  return problem('TAIL_MISSING', sequence + 1, { last: head.sequence, count: head.sequence - sequence });
}

function stored(db: Database, sequence: number): StoredEntry | undefined {
  return db.prepare<[number], StoredEntry>('SELECT * FROM entries WHERE sequence = ?').get(sequence);
}

/** The identity that the latest start of the agent recorded. */
function lastWorker(db: Database): string | undefined {
  const body = db.prepare<[], string>("SELECT body FROM entries WHERE kind = 'agent.started' ORDER BY sequence DESC LIMIT 1").pluck().get();
  return body === undefined ? undefined : (JSON.parse(body) as { worker?: string }).worker;
}
