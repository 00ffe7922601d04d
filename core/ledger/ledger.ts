import type { Bytes32, Sha256 } from '../contract/digest.ts';
import type { Address, Signature, SignedBatch, WorkReceipt } from '../contract/receipt.ts';
import type { LedgerVerification } from '../contract/rpc.ts';
import type { AssetEarnings, DaySpan, TaskRow } from '../contract/snapshot.ts';
import type { Attempt } from './attempt.ts';
import type { LedgerEvent } from './event.ts';

/** Who signs the ledger's head: the worker identity. */
export interface HeadSigner {
  readonly address: Address;
  signDigest(digest: Bytes32): Signature;
}

/** The four numbers of one asset and their parts of a day, in base units; core/earnings says how they are shown. */
export type AssetTotals = Omit<AssetEarnings, 'practice' | 'symbol' | 'decimals'>;

/** The record of everything this machine did and is owed. One process at a time writes it; any may read the file meanwhile. */
export interface Ledger {
  /**
   * Appends events in one durable transaction: all of them or none. @throws TRANSITION_ILLEGAL, RECEIPT_INVALID, BATCH_INVALID, DISK_FULL,
   * DATA_DIR_UNWRITABLE, DATABASE_CORRUPT, DATABASE_UNAVAILABLE; after any of them the ledger is as it was.
   */
  record(events: readonly LedgerEvent[]): void;
  attempt(network: string, shardId: string, attempt: number): Attempt | null;
  /** Attempts that are neither over nor accepted, oldest first: what a start after a crash has to deal with. */
  unfinished(): Attempt[];
  /** Whether a result with this digest still waits to be accepted, so that the spool must keep it. */
  isAwaited(outputs: Sha256): boolean;
  /** The latest attempts, newest first. */
  recent(limit: number): TaskRow[];
  /** The numbers of every asset. The day's bounds in ms since 1970, at quarters of an hour (as every zone's midnight is). */
  totals(dayStartMs: number, dayEndMs: number): AssetTotals[];
  /** What the time from `startMs` to `endMs` was spent on. What goes on still lasts until `nowMs`; null: until the last entry. */
  day(startMs: number, endMs: number, nowMs: number | null): DaySpan[];
  acceptedCount(): number;
  /** Sequence and hash of a network's last receipt; 0 and 32 zero bytes before the first. */
  receiptHead(network: string): { sequence: number; hash: Bytes32 };
  /** Receipts `first` to `last` of a network that are there, oldest first. */
  receiptsOf(network: string, first: number, last: number): WorkReceipt[];
  /** The last receipt of a network that a co-signed batch covers; 0 where there is none. */
  lastBatched(network: string): number;
  /** Checks a batch before it is signed: the coordinator's signature, and that it is over our receipts and follows our last batch. @throws BATCH_INVALID */
  checkBatch(signed: SignedBatch, coordinator: Address): void;
  /** Checks the whole file as it is now, without keeping others waiting for long. */
  verify(): Promise<LedgerVerification>;
  /** The attempts as text, one row a string with its line end, oldest first. Times from `fromMs` (in) to `toMs` (out) of the latest change. */
  export(format: 'csv' | 'json', fromMs: number | null, toMs: number | null): Generator<string, void, undefined>;
  /** Signs the head and closes the file. */
  close(): void;
}

export interface LedgerOptions {
  /** The database file; `<file's folder>/ledger.head` lies beside it. */
  path: string;
  signer: HeadSigner;
}

/**
 * Opens or makes the ledger. @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE, DATA_DIR_UNWRITABLE, DISK_FULL; LEDGER_BROKEN
 * where its end is not the one that was signed
 */
export declare function openLedger(options: LedgerOptions): Ledger;
