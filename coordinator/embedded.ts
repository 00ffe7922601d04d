import type { Bytes32 } from '../core/contract/digest.ts';
import type { EmbeddedCoordinator, PracticeSource, ReferenceWorker } from '../core/contract/jobs.ts';
import type { Address, Signature } from '../core/contract/receipt.ts';
import type { Log } from './log.ts';

/** The coordinator's key: it signs receipt batches. */
export interface CoordinatorSigner {
  address: Address;
  signDigest(digest: Bytes32): Signature;
}

export interface EmbeddedOptions {
  /** A folder of its own, made where it is missing: coordinator.db and blobs/. */
  dir: string;
  networkId: string;
  signer: CoordinatorSigner;
  reference: ReferenceWorker;
  practice: PracticeSource;
  quota: { shardsPerDay: number; minutesPerDay: number };
  /** ms since 1970. May jump; leases are counted down on `monotonic`. */
  clock: () => number;
  /** Uniform in [0, 1). */
  random: () => number;
  /** How long a lease lasts without a heartbeat. */
  leaseMs?: number;
  /** How often practice is computed again by the reference; 0.05 at most. */
  auditProbability?: number;
  /** How long a submission waits for one computation of the reference. */
  auditMs?: number;
  /** ms that only ever grow, from any origin. */
  monotonic?: () => number;
  log?: Log;
}

/**
 * A network in the same program: jobs, leases, audits and receipts on a SQLite file, without an account or a server.
 * @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE, DATA_DIR_UNWRITABLE, DISK_FULL
 */
export type CreateEmbeddedCoordinator = (options: EmbeddedOptions) => EmbeddedCoordinator;
