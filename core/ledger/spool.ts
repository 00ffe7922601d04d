import type { Sha256 } from '../contract/digest.ts';

/** Results by digest, kept from before they are recorded until they are accepted. */
export interface Spool {
  /** Durable when it resolves. @throws DIGEST_MISMATCH, DISK_FULL, DATA_DIR_UNWRITABLE */
  put(digest: Sha256, bytes: Uint8Array): Promise<void>;
  /** The bytes, checked. `shard` is whose they are, for the message. @throws SPOOL_LOST, DIGEST_MISMATCH */
  get(digest: Sha256, shard: string): Promise<Uint8Array>;
  /** Overwrites and deletes; nothing happens where it is gone. Ask `Ledger.isAwaited` first: two shards may have one result. */
  remove(digest: Sha256): Promise<void>;
  /** Deletes all but these: what a crash left behind. */
  sweep(keep: ReadonlySet<Sha256>): Promise<void>;
}

/** @throws DATA_DIR_UNWRITABLE, DISK_FULL */
export declare function openSpool(folder: string): Promise<Spool>;
