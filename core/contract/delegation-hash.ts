// Apart from delegation.ts, so that what only carries delegations (the screen) doesn't carry ethers.
import { recoverAddress, type TypedDataDomain, TypedDataEncoder, type TypedDataField } from 'ethers';
import {
  ANY_NETWORK,
  type DelegationRevocation,
  type PayeeChange,
  type WalletClaim,
  type WalletSignature,
  type WorkerDelegation,
} from './delegation.ts';
import type { Bytes32 } from './digest.ts';
import type { Address } from './receipt.ts';

export const DELEGATION_TYPES: Record<string, TypedDataField[]> = {
  WorkerDelegation: [
    { name: 'wallet', type: 'address' },
    { name: 'worker', type: 'address' },
    { name: 'networkKey', type: 'address' },
    { name: 'scope', type: 'string' },
    { name: 'notBefore', type: 'uint64' },
    { name: 'expiry', type: 'uint64' },
    { name: 'nonce', type: 'uint64' },
  ],
};

export const REVOCATION_TYPES: Record<string, TypedDataField[]> = {
  DelegationRevocation: [
    { name: 'wallet', type: 'address' },
    { name: 'worker', type: 'address' },
    { name: 'nonce', type: 'uint64' },
  ],
};

export const PAYEE_TYPES: Record<string, TypedDataField[]> = {
  PayeeChange: [
    { name: 'wallet', type: 'address' },
    { name: 'worker', type: 'address' },
    { name: 'networkKey', type: 'address' },
    { name: 'payee', type: 'address' },
    { name: 'nonce', type: 'uint64' },
  ],
};

/** Of no chain: who earns for a wallet is the same on all of them. */
export const DELEGATION_DOMAIN: TypedDataDomain = { name: 'Hearthlend', version: '1' };

/** The digest that the wallet signs. */
export function delegationDigest(delegation: WorkerDelegation): Bytes32 {
  return TypedDataEncoder.hash(DELEGATION_DOMAIN, DELEGATION_TYPES, delegation);
}

export function revocationDigest(revocation: DelegationRevocation): Bytes32 {
  return TypedDataEncoder.hash(DELEGATION_DOMAIN, REVOCATION_TYPES, revocation);
}

export function payeeDigest(change: PayeeChange): Bytes32 {
  return TypedDataEncoder.hash(DELEGATION_DOMAIN, PAYEE_TYPES, change);
}

/** Who says what of which worker, and the digest that was signed. */
export function claimParts(claim: WalletClaim): { wallet: Address; worker: Address; digest: Bytes32 } {
  if (claim.kind === 'delegation') return { ...claim.delegation, digest: delegationDigest(claim.delegation) };
  if (claim.kind === 'revocation') return { ...claim.revocation, digest: revocationDigest(claim.revocation) };
  return { ...claim.change, digest: payeeDigest(claim.change) };
}

/** As wallets elsewhere take it (`eth_signTypedData_v4`). */
export function typedData(
  claim:
    | { kind: 'delegation'; delegation: WorkerDelegation }
    | { kind: 'revocation'; revocation: DelegationRevocation }
    | { kind: 'payee'; change: PayeeChange },
): unknown {
  if (claim.kind === 'payee') return TypedDataEncoder.getPayload(DELEGATION_DOMAIN, PAYEE_TYPES, claim.change);
  if (claim.kind === 'delegation') return TypedDataEncoder.getPayload(DELEGATION_DOMAIN, DELEGATION_TYPES, claim.delegation);
  return TypedDataEncoder.getPayload(DELEGATION_DOMAIN, REVOCATION_TYPES, claim.revocation);
}

/** Whether the key of `wallet` signed. A contract's signature is not told here. */
export function signedByWallet(digest: Bytes32, signature: WalletSignature, wallet: Address): boolean {
  try {
    return recoverAddress(digest, signature).toLowerCase() === wallet.toLowerCase();
  } catch {
    return false;
  }
}

export type DelegationFault = 'other-worker' | 'other-network' | 'too-early' | 'expired' | 'revoked';

/**
 * Why a delegation doesn't let `worker` earn for its wallet on the network of that key; null where it does. Who signed it is asked apart.
 * @param now seconds since 1970; `revokedUpTo`: the highest nonce that the wallet has taken back for this worker, null where none
 */
export function delegationFault(
  delegation: WorkerDelegation,
  { worker, networkKey, now, revokedUpTo }: { worker: Address; networkKey: Address; now: number; revokedUpTo: number | null },
): DelegationFault | null {
  const same = (a: Address, b: Address) => a.toLowerCase() === b.toLowerCase();
  if (!same(delegation.worker, worker)) return 'other-worker';
  if (delegation.networkKey !== ANY_NETWORK && !same(delegation.networkKey, networkKey)) return 'other-network';
  if (now < delegation.notBefore) return 'too-early';
  if (now >= delegation.expiry) return 'expired';
  if (revokedUpTo !== null && delegation.nonce <= revokedUpTo) return 'revoked';
  return null;
}
