import type { Database, Statement } from 'better-sqlite3';
import { canonicalJson } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { Address } from '../contract/receipt.ts';
import type { Derived } from './derived.ts';
import { DETAIL_CHARACTERS, type Draft, ENTRY_BODIES, type Entry, type EntryKind, FIRST_PREVIOUS_HASH, hashEntry } from './entry.ts';
import type { LedgerEvent } from './event.ts';
import type { ChainEnd } from './head.ts';

/** An entry as it is stored. `body` is its canonical JSON. */
export interface StoredEntry {
  sequence: number;
  at: number;
  kind: string;
  body: string;
  previousHash: string;
  hash: string;
}

/** Appends events to the chain, and keeps the derived tables in step. */
export class Chain {
  #worker: Address;
  readonly #derived: Derived;
  readonly #insert: Statement<[number, number, string, string, string, string]>;
  readonly #transaction: (events: readonly LedgerEvent[]) => ChainEnd;
  #end: ChainEnd;

  constructor(db: Database, derived: Derived, worker: Address) {
    this.#worker = worker;
    this.#derived = derived;
    this.#insert = db.prepare('INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)');
    this.#end = chainEnd(db);
    this.#transaction = db.transaction((events: readonly LedgerEvent[]) => {
      let end = this.#end;
      for (const event of events) for (const draft of draftsOf(event, this.#worker)) end = this.#append(draft, end);
      derived.settle();
      return end;
    }).immediate;
  }

  /** Leases that are recorded from now on are of another worker. */
  becomes(worker: Address): void {
    this.#worker = worker;
  }

  get end(): ChainEnd {
    return this.#end;
  }

  /** All of them in one transaction, or none. @throws TRANSITION_ILLEGAL, RECEIPT_INVALID, BATCH_INVALID, SQLite's errors */
  append(events: readonly LedgerEvent[]): void {
    try {
      this.#end = this.#transaction(events);
    } finally {
      this.#derived.forget();
    }
  }

  #append(draft: Draft, before: ChainEnd): ChainEnd {
    const entry = { ...draft, sequence: before.sequence + 1 } as Entry;
    const { sequence, at, kind } = entry;
    const body = canonicalJson(entry.body);
    const hash = hashEntry(sequence, at, kind, body, before.hash);
    this.#insert.run(sequence, at, kind, body, before.hash, hash);
    this.#derived.apply(entry, before.at, body);
    return { sequence, hash, at };
  }
}

/** Where the chain in this database ends. */
export function chainEnd(db: Database): ChainEnd {
  const last = db.prepare<[], ChainEnd>('SELECT sequence, hash, at FROM entries ORDER BY sequence DESC LIMIT 1').get();
  return last ?? { sequence: 0, hash: FIRST_PREVIOUS_HASH, at: 0 };
}

function draftsOf(event: LedgerEvent, worker: Address): Draft[] {
  if (event.kind === 'shard.leased') {
    const { kind, at, ...agreed } = event;
    return [draft(kind, at, { ...agreed, worker })];
  }
  if (event.kind === 'shard.accepted') {
    const { kind, at, receipt, audited } = event;
    const { network, shardId, attempt, sequence: receiptSequence } = receipt;
    return [draft('receipt', at, receipt), draft(kind, at, { network, shardId, attempt, receiptSequence, audited })];
  }
  const { kind, at, ...body } = event;
  return [draft(kind, at, 'detail' in body ? { ...body, detail: kept(body.detail) } : body)];
}

/** Foreign words, made fit to be kept: whole characters, and not too many. */
function kept(detail: string): string {
  return detail.slice(0, DETAIL_CHARACTERS).toWellFormed();
}

/** A draft whose body is checked: what is written can always be read again. */
function draft(kind: EntryKind, at: number, body: unknown): Draft {
  const parsed = ENTRY_BODIES[kind].safeParse(body);
  if (parsed.success && Number.isSafeInteger(at) && at >= 0) return { kind, at, body: parsed.data } as Draft;
  const issue = parsed.error?.issues[0];
  const detail = issue === undefined ? `${at} is no time` : `${issue.path.join('.')}: ${issue.message}`;
  const { network = '', shardId = '' } = body as { network?: string; shardId?: string };
  if (kind === 'receipt') throw new HearthlendError('RECEIPT_INVALID', { network, shard: shardId, detail });
  if (kind === 'batch') throw new HearthlendError('BATCH_INVALID', { network, detail });
  if (kind === 'voucher') throw new HearthlendError('VOUCHER_INVALID', { network, detail });
  throw new HearthlendError('INTERNAL', { detail: `the ledger was given a malformed ${kind} (${detail})` });
}
