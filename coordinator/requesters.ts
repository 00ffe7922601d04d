import type { Sha256 } from '../core/contract/digest.ts';
import type { Amount } from '../core/contract/money.ts';
import type { JobCharge, JobStatus } from '../core/contract/network.ts';

/** Somebody who may send work, by the digest of the secret that they hold. Times in ms since 1970, amounts in base units. */
export interface Requester {
  id: string;
  name: string;
  /** SHA-256 of the secret: 256 random bits, which nobody guesses however fast the digest is. */
  hash: Sha256;
  createdAt: number;
  /** What all of its jobs together may cost; null: no bound. */
  budget: Amount | null;
  /** What was accepted of its jobs. */
  spent: Amount;
}

/** What a job is charged to, and for how much. */
export interface JobTerms extends Omit<JobCharge, 'units'> {
  /** Null for the owner of this machine. */
  requester: string | null;
}

/** Jobs of one requester that may be open at once. */
export const MAX_OPEN_JOBS = 4096;

export type AddJobResult = 'added' | 'known' | { refused: 'budget'; left: Amount } | { refused: 'open-jobs' };

export interface RequesterReads {
  requesters(): Promise<Requester[]>;
  requesterByHash(hash: Sha256): Promise<Requester | null>;
  /** Whose job it is; null for the owner of this machine, undefined for no job. */
  requesterOf(jobId: string): Promise<string | null | undefined>;
  /** Newest first. */
  jobsOf(requester: string, limit: number): Promise<JobStatus[]>;
}

export interface RequesterChanges {
  /** False where there are `limit` already. */
  addRequester(requester: Omit<Requester, 'spent'>, limit: number): boolean;
  /** The one that is gone; null where there was none. */
  removeRequester(id: string): Requester | null;
}
