import type { AppealRecord, AuditEntry } from '../../core/contract/audits.ts';
import type { Sha256 } from '../../core/contract/digest.ts';
import type { Address } from '../../core/contract/receipt.ts';
import type { Shard } from '../../core/contract/shard.ts';
import type { AttemptKey, ShardRecord } from '../store.ts';
import type { Reputation } from './reputation.ts';
import type { Calibration } from './thresholds.ts';

/** How a worker stands: its reputation, how its audits went, and until when it is suspended (ms since 1970). */
export interface Standing extends Reputation {
  valid: number;
  bad: number;
  undecided: number;
  suspendedUntil: number | null;
}

/** An audit that is over. `means`: what the result was compared with; `form`: it was no result of its shard, whatever it says. */
export interface AuditRecord extends AuditEntry {
  worker: Address;
  means: 'reference' | 'worker' | 'canary' | 'form';
  /** The furthest distance of a row of floats; null where there was none to measure. */
  distance: number | null;
}

/** A shard whose right answer is known, and who gave it. */
export interface CanarySource {
  shard: Shard;
  promptTokens: number;
  worker: Address;
  outputs: Sha256;
  /** ms since 1970. */
  addedAt: number;
}

/** What is known of workers' honesty. Every coordinator of a network knows the same. */
export interface TrustReads {
  standing(worker: Address): Standing;
  /** Newest first. */
  audits(worker: Address, limit: number): Promise<AuditRecord[]>;
  /** Newest first. */
  appeals(limit: number): Promise<AppealRecord[]>;
  calibrations(model: Sha256): Promise<Calibration[]>;
  /** Whether this holder's bytes (`holderOf.canary`, `holderOf.appeal`) belong to something that is still on record. */
  isKept(holder: string): Promise<boolean>;
  /** The known answer of a shard that is a canary; null for one that is none. */
  canaryAnswer(shardId: string): Promise<{ source: string; outputs: Sha256 } | null>;
  /** Sources of canaries that this worker neither computed nor was given. */
  canariesFor(worker: Address, limit: number): Promise<CanarySource[]>;
}

export interface TrustChanges {
  /** Records an audit, and what it does to its worker's standing; once for an attempt. Gives the standing after it. */
  recordAudit(audit: AuditRecord): Standing;
  /** Ends a suspension before its time. The offences stay on record. */
  liftSuspension(worker: Address): void;
  /** Keeps the newest `keep` records; gives the attempts whose records went. */
  addAppeal(appeal: AppealRecord, keep: number): AttemptKey[];
  setCalibration(calibration: Calibration): void;
  /** Keeps the newest `keep` sources; gives the shards that went. `given`: somebody else who computed it, under another name. */
  keepCanary(source: CanarySource, keep: number, given: { shardId: string; worker: Address } | null): string[];
  /** Queues a shard that is a copy of a source's. False where the source is gone, or the name is taken. */
  issueCanary(shard: ShardRecord, source: string, worker: Address): boolean;
}
