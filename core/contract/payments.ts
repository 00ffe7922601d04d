import { z } from 'zod';
import { ChainConfig, TransactionRecord } from './chain.ts';
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

/** A transaction of ours as people are told of it. `amount`, in base units of `asset`: what was sent, or what a claim is known to have paid; null while that isn't known. */
export const TransactionRow = z.strictObject({ ...TransactionRecord.shape, asset: AssetId.nullable(), amount: Amount.nullable() });
export type TransactionRow = z.infer<typeof TransactionRow>;

/** A chain that is set up, as people are told of it. `head`: the highest block that was seen; null before one was. */
export const ChainRow = z.strictObject({
  ...ChainConfig.pick({ chainId: true, name: true, symbol: true, explorer: true, confirmations: true, tokens: true, test: true }).shape,
  head: z.int().min(0).nullable(),
});
export type ChainRow = z.infer<typeof ChainRow>;

/** What an address has on a chain, in base units, and what the gas key has for fees. Null where the chain did not say. */
export const ChainBalances = z.strictObject({
  chainId: z.int().min(1),
  address: Address,
  assets: z
    .array(z.strictObject({ asset: AssetId, symbol: z.string().max(32), decimals: z.int().min(0).max(36), amount: Amount.nullable() }))
    .max(65),
  gas: Amount.nullable(),
});
export type ChainBalances = z.infer<typeof ChainBalances>;

export const PaymentsStatus = z.strictObject({
  networks: z.array(NetworkCredit).max(64),
  /** The key that pays claims' fees: nothing but fees belongs on it. Null until it is made: when a claim is first asked for, or automatic ones are. */
  gasKey: z.strictObject({ address: Address, capPerDay: Amount }).nullable(),
  /** What is wrong with the gas key; null where nothing is. */
  gasKeyTrouble: MessageRef.nullable(),
  chains: z.array(ChainRow).max(16),
  /** The last of ours, the newest first. */
  transactions: z.array(TransactionRow).max(100),
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
