import { z } from 'zod';
import { Amount } from './money.ts';
import { Address } from './receipt.ts';

/** A chain on which vouchers are paid. Every address in it is the user's to change. */
export const ChainConfig = z.strictObject({
  chainId: z.int().min(1).max(0xffff_ffff),
  name: z.string().min(1).max(80),
  /** JSON-RPC over HTTP(S), in the order of preference. What matters is asked of two of them, where there are two. */
  rpc: z.array(z.url().max(500)).min(1).max(16),
  /** Where people look transactions up: the page of one is `<explorer>/tx/<hash>`. */
  explorer: z.url().max(500).nullable(),
  symbol: z.string().min(1).max(32),
  /** After so many blocks on top of it a transaction counts as final. */
  confirmations: z.int().min(1).max(1000),
  tokens: z.array(z.strictObject({ address: Address, symbol: z.string().min(1).max(32), decimals: z.int().min(0).max(36) })).max(64),
  /** The escrow of Hearthlend on it; null where none is known. */
  escrow: Address.nullable(),
  /** Money of which nobody has any use. */
  test: z.boolean(),
});
export type ChainConfig = z.infer<typeof ChainConfig>;

/** OPEN as ERC-20. Source: DESIGN, section 9. */
const OPEN = { address: '0xA227Cc36938f0c9E09CE0e64dfab226cad739447', symbol: 'OPEN', decimals: 18 };

/**
 * Chains that are offered. Sources: OpenLedger's own (DESIGN, section 9); ethereum-lists/chains for Ethereum and BSC. OpenLedger's testnet has no
 * public endpoint that we could confirm: the user gives one.
 */
export const CHAIN_PRESETS: readonly ChainConfig[] = [
  {
    ...{ chainId: 1612, name: 'OpenLedger', symbol: 'OPEN', confirmations: 12, tokens: [], escrow: null, test: false },
    rpc: ['https://rpc.openledger.xyz'],
    explorer: 'https://scan.openledger.xyz',
  },
  {
    ...{ chainId: 1, name: 'Ethereum', symbol: 'ETH', confirmations: 12, tokens: [OPEN], escrow: null, test: false },
    rpc: ['https://ethereum-rpc.publicnode.com', 'https://cloudflare-eth.com'],
    explorer: 'https://etherscan.io',
  },
  {
    ...{ chainId: 56, name: 'BNB Smart Chain', symbol: 'BNB', confirmations: 15, tokens: [OPEN], escrow: null, test: false },
    rpc: ['https://bsc-dataseed.bnbchain.org', 'https://bsc-rpc.publicnode.com'],
    explorer: 'https://bscscan.com',
  },
];

/** Native token's decimals on every chain of Ethereum's kind. */
export const NATIVE_DECIMALS = 18;

/** A transaction of ours, from its signing to its end. Amounts in base units of the native token; times in ms since 1970. */
export const TransactionRecord = z.strictObject({
  chainId: z.int().min(1),
  /** `claim` has the voucher's channel, `send` the receiver, `escrow` what a payer does with its escrow. */
  kind: z.enum(['claim', 'send', 'escrow']),
  subject: z.string().max(66),
  from: Address,
  nonce: z.int().min(0),
  /** Every one that was sent under this nonce, the last one last: any of them may be the one that is mined. */
  hashes: z
    .array(z.string().regex(/^0x[0-9a-f]{64}$/))
    .min(1)
    .max(32),
  maxFeePerGas: Amount,
  maxPriorityFeePerGas: Amount,
  gasLimit: z.int().min(21_000),
  sentAt: z.int(),
  /** The last time that it was sent anew with a higher fee. */
  replacedAt: z.int().nullable(),
  state: z.enum(['pending', 'mined', 'final', 'failed', 'displaced']),
  /** The block that it was seen in; null while it is in none. */
  block: z.strictObject({ number: z.int().min(0), hash: z.string().max(66) }).nullable(),
});
export type TransactionRecord = z.infer<typeof TransactionRecord>;
