import { z } from 'zod';
import {
  DELEGATION_DAYS,
  DelegationRevocation,
  PayeeChange,
  SignedDelegation,
  SignedRevocation,
  WalletSignature,
  WorkerDelegation,
} from './delegation.ts';
import { Bytes32 } from './digest.ts';
import { Address } from './receipt.ts';

const ofKeys = [
  z.strictObject({ kind: z.literal('delegation'), delegation: WorkerDelegation }),
  z.strictObject({ kind: z.literal('revocation'), revocation: DelegationRevocation }),
] as const;

/** What the wallet is to sign for one worker key to follow another. */
export const KeyClaim = z.discriminatedUnion('kind', ofKeys);
export type KeyClaim = z.infer<typeof KeyClaim>;

/** Something about the worker that the wallet is to sign. */
export const IdentityClaim = z.discriminatedUnion('kind', [...ofKeys, z.strictObject({ kind: z.literal('payee'), change: PayeeChange })]);
export type IdentityClaim = z.infer<typeof IdentityClaim>;

/** What is wanted of the wallet. `networkKey`: null for any network. */
export const ClaimWish = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('delegation'),
    networkKey: Address.nullable(),
    days: z.int().min(1).max(DELEGATION_DAYS.most),
  }),
  z.strictObject({ kind: z.literal('revocation') }),
  z.strictObject({ kind: z.literal('payee'), networkKey: Address.nullable(), payee: z.string().max(100) }),
]);
export type ClaimWish = z.infer<typeof ClaimWish>;

/**
 * What comes of a new worker key: which it is, and what the wallet is to sign for it. `claims`: that the new one earns for it, and that the old one
 * does no more; none where it has signed nothing for the old one.
 */
export const RekeyPlan = z.strictObject({ from: Address, to: Address, claims: z.array(KeyClaim).max(2) });
export type RekeyPlan = z.infer<typeof RekeyPlan>;

/** A claim of the plan with the wallet's yes: what its signer has shown (`seen`), or a signature from elsewhere. */
export const AgreedClaim = z.union([
  z.strictObject({ claim: KeyClaim, seen: Bytes32 }),
  z.strictObject({ claim: KeyClaim, signature: WalletSignature }),
]);
export type AgreedClaim = z.infer<typeof AgreedClaim>;

/** Who works here, and for whom. */
export const IdentityStatus = z.strictObject({
  worker: Address,
  payee: Address,
  /** Where the wallet that would sign is: here, elsewhere, or nowhere. */
  wallet: z.enum(['own', 'watch', 'none']),
  delegation: SignedDelegation.nullable(),
  /** Why the delegation doesn't count now; null where it does, or there is none. */
  fault: z.enum(['other-worker', 'other-network', 'too-early', 'expired', 'revoked']).nullable(),
  revocations: z.array(SignedRevocation).max(8),
});
export type IdentityStatus = z.infer<typeof IdentityStatus>;
