import { z } from 'zod';
import { Bytes32 } from './digest.ts';
import { Amount, type AssetId } from './money.ts';
import { Address, FIRST_PREVIOUS_HASH, Signature } from './receipt.ts';

/** The escrow contract that vouchers of one network are claimed from. It is the vouchers' EIP-712 domain. */
export const EscrowDomain = z.strictObject({ chainId: z.int().min(1), contract: Address });
export type EscrowDomain = z.infer<typeof EscrowDomain>;

/** The chain's native token, where a contract asks for an ERC-20's address. */
export const NATIVE_TOKEN: Address = `0x${'0'.repeat(40)}`;

/**
 * Since the beginning of its channel, `payee` has earned `cumulativeAmount` (base units of `asset`) for the work of `worker`. A channel is payer,
 * worker, payee, asset and domain together. `receiptsRoot` and `receiptCount` are of the receipts that this epoch adds, in their sequence.
 * Source: resources/contracts/HearthlendEscrow.sol.
 */
export const Voucher = z.strictObject({
  payer: Address,
  worker: Address,
  payee: Address,
  /** An ERC-20's address, or NATIVE_TOKEN. */
  asset: Address,
  /** Counts a channel's vouchers, from 1. */
  epoch: z.int().min(1),
  /** The struct hash of the voucher before; 32 zero bytes for the first. */
  previousVoucher: Bytes32,
  cumulativeAmount: Amount,
  receiptsRoot: Bytes32,
  receiptCount: z.int().min(1),
});
export type Voucher = z.infer<typeof Voucher>;

/** A voucher and its 65-byte signature by the payer, or by a signer that the payer authorised on the contract. */
export const SignedVoucher = z.strictObject({ domain: EscrowDomain, voucher: Voucher, signature: Signature });
export type SignedVoucher = z.infer<typeof SignedVoucher>;

/** A voucher as a network hands it out: for receipts `first` to `last`, and by whom it is signed: the payer, or one that the payer authorised. */
export const OfferedVoucher = z.strictObject({ first: z.int().min(1), last: z.int().min(1), signed: SignedVoucher, signer: Address });
export type OfferedVoucher = z.infer<typeof OfferedVoucher>;

/** The voucher before a channel's first. */
export const FIRST_PREVIOUS_VOUCHER: Bytes32 = FIRST_PREVIOUS_HASH;

/** The CAIP-19 id of what a voucher pays in. `slip44:60` is what CAIP-20 gives for the native token of chains of Ethereum's kind. */
export function assetOf(domain: EscrowDomain, token: Address): AssetId {
  const chain = `eip155:${domain.chainId}`;
  return token === NATIVE_TOKEN ? `${chain}/slip44:60` : `${chain}/erc20:${token.toLowerCase()}`;
}

/** The token that an asset id names on the domain's chain; null where it is of another chain or of none. */
export function tokenOf(domain: EscrowDomain, asset: AssetId): Address | null {
  const chain = `eip155:${domain.chainId}/`;
  if (!asset.startsWith(chain)) return null;
  const rest = asset.slice(chain.length);
  if (rest === 'slip44:60') return NATIVE_TOKEN;
  const token = /^erc20:(0x[0-9a-fA-F]{40})$/.exec(rest)?.[1];
  return token === undefined ? null : token.toLowerCase();
}
