import { z } from 'zod';
import { Address } from './receipt.ts';

/** Seconds since 1970, as EIP-712 structs carry times. */
const Seconds = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** No wallet lets a worker earn for it for longer than this without being asked again. */
export const DELEGATION_DAYS = { usual: 365, most: 3650 } as const;

/**
 * The wallet says that a worker earns for it: what that worker is paid goes to `wallet`. `networkKey` is the key with which one network signs
 * receipts (its coordinator's address), or ANY_NETWORK. Of two of one wallet and worker the one with the higher nonce counts.
 */
export const WorkerDelegation = z.strictObject({
  wallet: Address,
  worker: Address,
  networkKey: Address,
  /** All that a worker may do in its wallet's name. */
  scope: z.literal('earn'),
  notBefore: Seconds,
  expiry: Seconds,
  nonce: Seconds,
});
export type WorkerDelegation = z.infer<typeof WorkerDelegation>;

/** The wallet takes back what it has said of a worker, up to and with `nonce`. */
export const DelegationRevocation = z.strictObject({ wallet: Address, worker: Address, nonce: Seconds });
export type DelegationRevocation = z.infer<typeof DelegationRevocation>;

/**
 * The wallet that a worker earns for names another address to be paid to, on the network of that key, or on any. It takes effect after the time that the
 * network's terms state; one that names the present payee again takes back a change that waits. Of two the one with the higher nonce counts.
 */
export const PayeeChange = z.strictObject({ wallet: Address, worker: Address, networkKey: Address, payee: Address, nonce: Seconds });
export type PayeeChange = z.infer<typeof PayeeChange>;

export const ANY_NETWORK: Address = `0x${'0'.repeat(40)}`;

/** 65 bytes of secp256k1, or whatever a wallet that is a contract takes for one (EIP-1271). */
export const WalletSignature = z.string().regex(/^0x([0-9a-f]{2}){1,2048}$/);
export type WalletSignature = z.infer<typeof WalletSignature>;

export const SignedDelegation = z.strictObject({ delegation: WorkerDelegation, signature: WalletSignature });
export type SignedDelegation = z.infer<typeof SignedDelegation>;

export const SignedRevocation = z.strictObject({ revocation: DelegationRevocation, signature: WalletSignature });
export type SignedRevocation = z.infer<typeof SignedRevocation>;

export const SignedPayeeChange = z.strictObject({ change: PayeeChange, signature: WalletSignature });
export type SignedPayeeChange = z.infer<typeof SignedPayeeChange>;

/** What a wallet says of its worker, for a network. It proves itself, whoever brings it. */
export const WalletClaim = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('delegation'), ...SignedDelegation.shape }),
  z.strictObject({ kind: z.literal('revocation'), ...SignedRevocation.shape }),
  z.strictObject({ kind: z.literal('payee'), ...SignedPayeeChange.shape }),
]);
export type WalletClaim = z.infer<typeof WalletClaim>;
