import type { Database } from 'better-sqlite3';
import type { Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { NetworkEarnings } from '../contract/networks.ts';
import type { PauseRecord } from '../contract/policy.ts';
import type { Address, SignedBatch, WorkReceipt } from '../contract/receipt.ts';
import type { LedgerVerification } from '../contract/rpc.ts';
import type { DaySpan, TaskRow } from '../contract/snapshot.ts';
import { storageError } from '../contract/storage-error.ts';
import type { Succession } from '../contract/succession.ts';
import { pathBetween } from '../contract/succession-hash.ts';
import { Activity } from './activity.ts';
import { Chain } from './append.ts';
import type { Attempt } from './attempt.ts';
import { checkEnd, recordedWorker } from './check-end.ts';
import type { ReceiptHead } from './check-receipt.ts';
import { connectWriter } from './connect.ts';
import { Derived } from './derived.ts';
import type { Earned } from './earned.ts';
import type { LedgerEvent } from './event.ts';
import { exportRows } from './export.ts';
import { type ChainEnd, type HeadSigner, readHead, writeHead } from './head.ts';
import type { Promises } from './promises.ts';
import { type AssetTotals, Queries } from './queries.ts';
import type { Share } from './shares.ts';
import { LogSync } from './sync.ts';
import { verifyLedger } from './verify.ts';

export interface LedgerOptions {
  /** The database file. The signed head, `ledger.head`, lies beside it. */
  path: string;
  signer: HeadSigner;
  /** The words of this machine's former worker keys for those that followed them. */
  successions?: readonly Succession[];
}

/** An unsigned end is not left for longer than this once more is recorded. Signing it at every entry would cost more than the entry. */
const HEAD_WINDOW_MS = 1000;

/**
 * Opens or makes the ledger. @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE, DATA_DIR_UNWRITABLE, DISK_FULL; LEDGER_BROKEN
 * where its end is not the one that was signed
 */
export function openLedger(options: LedgerOptions): Ledger {
  const db = connectWriter(options.path);
  try {
    return new Ledger(db, options);
  } catch (thrown) {
    db.close();
    throw storageError(options.path, thrown);
  }
}

/** The record of everything this machine did and is owed. One process at a time writes it; any may read the file meanwhile. */
export class Ledger {
  readonly #db: Database;
  readonly #path: string;
  #signer: HeadSigner;
  readonly #derived: Derived;
  readonly #chain: Chain;
  readonly #queries: Queries;
  readonly #activity: Activity;
  readonly #log: LogSync;
  /** How far the chain is known to be on the disk: a head beyond it would outlive the entries that it is of. */
  #durableEnd: ChainEnd;
  #signedSequence: number;
  #signedAt = 0;
  #headDue = false;

  constructor(db: Database, { path, signer, successions = [] }: LedgerOptions) {
    this.#db = db;
    this.#path = path;
    this.#signer = signer;
    this.#derived = new Derived(db);
    this.#queries = new Queries(db, this.#derived);
    this.#activity = new Activity(db);
    this.#chain = new Chain(db, this.#derived, signer.address);
    this.#log = new LogSync(path);
    this.#durableEnd = this.#chain.end;
    const head = readHead(path);
    const problem = checkEnd(db, head, signer.address)[0];
    if (problem !== undefined) throw new HearthlendError('LEDGER_BROKEN', { detail: problem.detail });
    this.#signedSequence = typeof head === 'object' ? head.sequence : -1;
    // A crash came between the new key and its record here.
    if (successions.length > 0) this.#follow(signer.address, successions, this.#chain.end.at);
    this.#signHead();
  }

  /**
   * Appends events in one durable transaction: all of them or none. @throws TRANSITION_ILLEGAL, RECEIPT_INVALID, BATCH_INVALID, DISK_FULL,
   * DATA_DIR_UNWRITABLE, DATABASE_CORRUPT, DATABASE_UNAVAILABLE; after any of them the ledger is as it was.
   */
  record(events: readonly LedgerEvent[]): void {
    this.#db.pragma('synchronous = FULL');
    try {
      this.#append(events);
    } finally {
      this.#db.pragma('synchronous = NORMAL');
    }
    this.#durableEnd = this.#chain.end;
    this.#headDue = events.some(({ kind }) => kind === 'batch');
    if (!this.#headDue) return;
    try {
      this.#signHead();
    } catch {
      // The events are durable, so this call has worked; the next one signs first, and throws if it still can't.
    }
  }

  /**
   * Appends events in one transaction that a kill of this process leaves whole; a power cut may take it until `synced`, or the next `record`.
   * Throws as `record` does.
   */
  recordSoon(events: readonly LedgerEvent[]): void {
    this.#append(events);
  }

  /** Resolves when everything recorded so far is on the disk. @throws DISK_FULL, DATA_DIR_UNWRITABLE, DATABASE_UNAVAILABLE */
  async synced(): Promise<void> {
    const { end } = this.#chain;
    if (end.sequence <= this.#durableEnd.sequence) return;
    try {
      await this.#log.sync();
    } catch (thrown) {
      throw storageError(this.#path, thrown);
    }
    if (end.sequence > this.#durableEnd.sequence) this.#durableEnd = end;
  }

  /**
   * Goes on under another worker key, by the old one's word for it. @throws REKEY_INVALID where the words don't lead from the worker on record to the
   * new one; as `record`
   */
  rekey(signer: HeadSigner, successions: readonly Succession[], at: number): void {
    const before = this.#signer.address;
    if (!this.#follow(signer.address, successions, at)) {
      throw new HearthlendError('REKEY_INVALID', { worker: before, detail: `it said nothing of ${signer.address}` });
    }
    this.#signer = signer;
    this.#chain.becomes(signer.address);
    this.#signedSequence = -1;
    this.#signHead();
  }

  attempt(network: string, shardId: string, attempt: number): Attempt | null {
    return this.#derived.attempt(network, shardId, attempt) ?? null;
  }

  /** Attempts that are neither over nor accepted, oldest first: what a start after a crash has to deal with. */
  unfinished(): Attempt[] {
    return this.#queries.unfinished();
  }

  /** Whether a result with this digest still waits to be accepted, so that the spool must keep it: two attempts may share one. */
  isAwaited(outputs: Sha256): boolean {
    return this.#queries.isAwaited(outputs);
  }

  /** The attempts that changed last, newest first. */
  recent(limit: number): TaskRow[] {
    return this.#queries.recent(limit);
  }

  /** The numbers of every asset. The day's bounds in ms since 1970, at whole quarters of an hour (as every zone's midnight is). */
  totals(dayStartMs: number, dayEndMs: number): AssetTotals[] {
    return this.#queries.totals(dayStartMs, dayEndMs);
  }

  /** What the time from `startMs` to `endMs` was spent on. What goes on still lasts until `nowMs`; null: until the last entry. */
  day(startMs: number, endMs: number, nowMs: number | null): DaySpan[] {
    return this.#activity.between(startMs, endMs, nowMs ?? this.#chain.end.at);
  }

  /** The pauses that touch the time from `startMs` to `endMs`, the last `limit` of them, oldest first. */
  pauses(startMs: number, endMs: number, limit: number): PauseRecord[] {
    return this.#activity.pauses(startMs, endMs, limit);
  }

  networkTotals(network: string): NetworkEarnings {
    return this.#queries.networkTotals(network);
  }

  /** Those who have receipts of a network: this machine under its worker keys, the present one and those before it. In small letters. */
  workersOf(network: string): Address[] {
    return this.#queries.workersOf(network);
  }

  /** What a network accepted of one of them since the beginning, in base units. */
  acceptedOf(network: string, worker: Address): bigint {
    return this.#queries.acceptedOf(network, worker);
  }

  recentRuns(limit: number): ReturnType<Queries['recentRuns']> {
    return this.#queries.recentRuns(limit);
  }

  acceptedCount(): number {
    return this.#queries.acceptedCount();
  }

  /** Sequence and hash of a worker's last receipt of a network; 0 and 32 zero bytes before the first. */
  receiptHead(network: string, worker: Address = this.#signer.address): ReceiptHead {
    return this.#derived.receiptHead(network, worker);
  }

  /** A worker's receipts `first` to `last` of a network, as far as they are there, oldest first. */
  receiptsOf(network: string, first: number, last: number, worker: Address = this.#signer.address): WorkReceipt[] {
    return this.#queries.receiptsOf(network, worker, first, last);
  }

  /** The last of a worker's receipts of a network that a co-signed batch covers; 0 where there is none. */
  lastBatched(network: string, worker: Address = this.#signer.address): number {
    return this.#derived.lastBatched(network, worker);
  }

  /**
   * Checks a batch before it is signed: that it is over the receipts recorded here, follows the batch before, and that the coordinator signed
   * it. @throws BATCH_INVALID
   */
  checkBatch(signed: SignedBatch, coordinator: Address): void {
    this.#derived.checkBatch(signed, coordinator);
  }

  /** What networks have promised to pay, and what was paid. */
  get promises(): Pick<Promises, 'latest' | 'latestOfAll' | 'covering' | 'counted' | 'claimed' | 'paidBy' | 'check'> {
    return this.#derived.promises;
  }

  /** What was earned, by time and in parts: sums since the beginning, as far as they are committed. */
  get earned(): Pick<Earned, 'until' | 'between' | 'keys' | 'energies' | 'since'> {
    return this.#derived.earned;
  }

  /** Several questions about one state of the record, which costs less than each for itself. */
  reading<T>(ask: () => T): T {
    return this.#db.transaction(ask)();
  }

  /** What receipts give to each payee. */
  shares(): Share[] {
    return this.#derived.shares.all();
  }

  /** What was computed and is not accepted yet. */
  waiting(): ReturnType<Queries['waiting']> {
    return this.#queries.waiting();
  }

  /** Checks the whole file as it is now; in slices, so that work goes on meanwhile. */
  verify(): Promise<LedgerVerification> {
    return verifyLedger({ path: this.#path, worker: this.#signer.address });
  }

  /** The attempts as text, one row a string with its line end; see exportRows. */
  export(format: 'csv' | 'json', fromMs: number | null, toMs: number | null): Generator<string, void, undefined> {
    return exportRows(this.#path, format, fromMs, toMs);
  }

  /** Signs the end and closes the file. @throws DISK_FULL, DATA_DIR_UNWRITABLE, where the end could not be signed; the file is closed anyway */
  close(): void {
    if (!this.#db.open) return;
    try {
      // Not by a checkpoint: one waits for whoever reads the file meanwhile, and without a word does less than all where they go on.
      if (this.#chain.end.sequence !== this.#durableEnd.sequence) this.#log.syncNow();
      this.#durableEnd = this.#chain.end;
      this.#signHead();
    } catch (thrown) {
      throw storageError(this.#path, thrown);
    } finally {
      void this.#log.close();
      this.#db.close();
    }
  }

  /** Records how the worker on record came to be another. False where the words for it don't lead there. */
  #follow(worker: Address, successions: readonly Succession[], at: number): boolean {
    const recorded = recordedWorker(this.#db, this.#chain.end.sequence) ?? this.#signer.address;
    const path = pathBetween(successions, recorded, worker);
    if (path !== null) this.record(path.map((succession) => ({ kind: 'identity.rekeyed', at, ...succession })));
    return path !== null;
  }

  #append(events: readonly LedgerEvent[]): void {
    if (this.#headDue || performance.now() - this.#signedAt > HEAD_WINDOW_MS) this.#signHead();
    try {
      this.#chain.append(events);
    } catch (thrown) {
      throw storageError(this.#path, thrown);
    }
  }

  #signHead(): void {
    if (this.#signedSequence !== this.#durableEnd.sequence) writeHead(this.#path, this.#durableEnd, this.#signer);
    this.#signedSequence = this.#durableEnd.sequence;
    this.#signedAt = performance.now();
    this.#headDue = false;
  }
}
