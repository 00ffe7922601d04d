import { z } from 'zod';
import { TransactionRecord } from './chain.ts';
import { MessageRef } from './messages.ts';
import { Amount, AssetId } from './money.ts';
import { Address } from './receipt.ts';
import { NetworkId } from './shard.ts';

/** How one network that pays stands: what it owes, and what secures that. Amounts in base units of its asset, since the beginning. */
export const NetworkCredit = z.strictObject({
  network: NetworkId,
  asset: AssetId,
  symbol: z.string().max(32),
  decimals: z.int().min(0).max(36),
  chainId: z.int().min(1),
  contract: Address,
  payer: Address,
  accepted: Amount,
  promised: Amount,
  paid: Amount,
  /** What vouchers should say more than they do, by the receipts that they cover. */
  short: Amount,
  /** What was accepted and no voucher covers yet; past the hold-back and ten minutes more it is withheld. */
  unvouched: Amount,
  withheldSince: z.int().nullable(),
  /** What is set aside on chain for this worker alone; null while the chain has not said. */
  secured: Amount.nullable(),
  /** What a claim would bring now; null while the chain has not said. */
  payable: Amount.nullable(),
  /** Accepted and neither paid nor secured: what would be lost if the network were gone. */
  exposure: Amount,
  /** The most that the user lets it owe; null: not decided. */
  limit: Amount.nullable(),
  /** Why no work is taken from it; null while there is no reason. */
  stopped: MessageRef.nullable(),
  /** Why the chain has not said, or what it said that can't be; null where all is well. */
  trouble: MessageRef.nullable(),
  checkedAt: z.int().nullable(),
});
export type NetworkCredit = z.infer<typeof NetworkCredit>;

/** A claim before it is sent: fees first. `costs` and `gasBalance` in base units of the chain's native token. */
export const ClaimOffer = z.strictObject({
  network: NetworkId,
  costs: Amount,
  gasAddress: Address,
  gasBalance: Amount,
  symbol: z.string().max(32),
  parts: z.array(z.strictObject({ payee: Address, asset: AssetId, pays: Amount, owed: Amount })).max(64),
  /** Whether it is worth its fees by the user's rules. */
  verdict: z.enum(['yes', 'nothing', 'under-least', 'fees-too-high']),
});
export type ClaimOffer = z.infer<typeof ClaimOffer>;

export const PaymentsStatus = z.strictObject({
  networks: z.array(NetworkCredit).max(64),
  /** The key that pays claims' fees: nothing but fees belongs on it. Null until the first claim was asked for. */
  gasKey: z.strictObject({ address: Address, capPerDay: Amount }).nullable(),
  /** The last of ours, the newest first. */
  transactions: z.array(TransactionRecord).max(100),
});
export type PaymentsStatus = z.infer<typeof PaymentsStatus>;

/** Claims without being asked. `least`: what is worth one, by asset, in base units. */
export const ClaimSettings = z.strictObject({
  automatic: z.boolean().default(false),
  least: z
    .array(z.strictObject({ asset: AssetId, amount: Amount }))
    .max(64)
    .default([]),
  /** Fees may be at most this share of what arrives, where both are the native token, in basis points. */
  maxFeeBasisPoints: z.int().min(1).max(10_000).default(500),
  /** What may be spent on fees a day on one chain, in base units of its native token (10^15: a thousandth of a whole one). */
  gasCapPerDay: Amount.default('5000000000000000'),
});
export type ClaimSettings = z.infer<typeof ClaimSettings>;
