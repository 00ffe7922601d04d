import type { SignedDelegation } from '../../core/contract/delegation.ts';
import type { Sha256 } from '../../core/contract/digest.ts';
import type { WorkerNkey } from '../../core/contract/joining.ts';
import type { Address } from '../../core/contract/receipt.ts';
import type { Appends } from '../store.ts';

/** A machine that joined, by the key that it connects with. A worker that joins again has a new key, and its older ones are revoked. */
export interface Member {
  nkey: WorkerNkey;
  worker: Address;
  payee: Address;
  version: string;
  /** ms since 1970. */
  joinedAt: number;
  revokedAt: number | null;
  revokedWhy: 'revoked' | 'replaced' | null;
}

export type Members = MemberReads & Appends<MemberChanges>;

export interface MemberReads {
  member(nkey: WorkerNkey): Promise<Member | null>;
  /** The key that a worker connects with; null where it may not. */
  nkeyOf(worker: Address): Promise<WorkerNkey | null>;
  /** In the order in which they joined. */
  members(): Promise<Member[]>;
  /** Those revoked at `at` or later. */
  revokedSince(at: number): Promise<Member[]>;
  /** How many invitations can still be used. */
  openInvitations(at: number): Promise<number>;
}

export interface MemberChanges {
  invite(secretHash: Sha256, createdAt: number, expiresAt: number): void;
  /**
   * Uses an invitation up for a machine, once; the same again for the machine that used it. `other-payee`: who has this worker's key is paid elsewhere, and
   * only that wallet can change it. @param delegation the payee's word for the worker, checked before
   */
  join(
    secretHash: Sha256,
    member: Pick<Member, 'nkey' | 'worker' | 'payee' | 'version'>,
    at: number,
    delegation?: SignedDelegation | null,
  ): 'joined' | 'unknown' | 'used' | 'expired' | 'revoked' | 'other-payee' | 'delegation-revoked';
  /** Shuts a worker out for good, with all its keys. False where it is not one, or was shut out before. */
  revoke(worker: Address, at: number): boolean;
}
