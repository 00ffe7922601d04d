import { z } from 'zod';
import { type ChainConfig, NATIVE_DECIMALS } from './chain.ts';
import type { Bytes32 } from './digest.ts';
import { HearthlendError } from './errors.ts';
import { Amount, AssetId } from './money.ts';
import { Address } from './receipt.ts';
import { Described } from './signing.ts';
import { assetOf, NATIVE_TOKEN } from './voucher.ts';

const ChainId = z.int().min(1).max(0xffff_ffff);

/** A name for an address. What begins like an address is none. */
export const ContactName = z
  .string()
  .trim()
  .min(1)
  .max(80)
  .regex(/^(?!0x)[^\p{Cc}\p{Cf}]+$/iu);
export const Contact = z.strictObject({ name: ContactName, address: Address });
export type Contact = z.infer<typeof Contact>;
export const MAX_CONTACTS = 500;

/** What stands for a change of the address book where the password is typed for it. */
export async function contactSeen(change: 'put' | 'remove', { name, address }: Contact): Promise<Bytes32> {
  const text = JSON.stringify(['contact', change, name, address]);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return `0x${Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** What somebody wants to send, as it was typed. */
export const SendRequest = z.strictObject({
  chainId: ChainId,
  /** An address with its capitals, or a contact's name. */
  to: z.string().min(1).max(100),
  /** In whole units, with a point. */
  amount: z.string().min(1).max(120),
  /** A token of the chain by symbol or address; null: its native token. */
  asset: z.string().min(1).max(160).nullable(),
});
export type SendRequest = z.infer<typeof SendRequest>;

/** What would be sent: fees first, and what the wallet's signer itself reads. Amounts in base units, `costs` of the native token. */
export const SendOffer = z.strictObject({
  chainId: ChainId,
  from: Address,
  to: Address,
  amount: Amount,
  asset: AssetId,
  symbol: z.string().max(32),
  decimals: z.int().min(0).max(36),
  costs: Amount,
  costsSymbol: z.string().max(32),
  /** The contact that it goes to; null where it is none. */
  contact: z.string().max(80).nullable(),
  /** Whether something went there from here before. */
  sentBefore: z.boolean(),
  /** A known address that begins and ends as this one does, and is another; null where there is none. */
  alike: Address.nullable(),
  ...Described.shape,
});
export type SendOffer = z.infer<typeof SendOffer>;

/** What was planned and confirmed: `seen` stands for the words that were shown, `costs` for the fees. */
export const ConfirmedSend = z.strictObject({
  ...SendRequest.shape,
  seen: Described.shape.seen,
  costs: Amount,
  /** Send it although the address looks like another one. */
  newAddress: z.boolean(),
});

/** Something that can be sent on a chain. */
export interface SendableAsset {
  asset: AssetId;
  token: Address;
  symbol: string;
  decimals: number;
}

/** The native token of a chain, and the tokens that are set up for it. */
export function assetsOn(chain: Pick<ChainConfig, 'chainId' | 'symbol' | 'tokens'>): SendableAsset[] {
  const domain = { chainId: chain.chainId, contract: NATIVE_TOKEN };
  const native = { asset: assetOf(domain, NATIVE_TOKEN), token: NATIVE_TOKEN, symbol: chain.symbol, decimals: NATIVE_DECIMALS };
  return [native, ...chain.tokens.map(({ address, ...token }) => ({ asset: assetOf(domain, address), token: address, ...token }))];
}

/** By symbol or address, of those that are set up for the chain. @throws ASSET_UNKNOWN */
export function assetNamed(chain: Pick<ChainConfig, 'chainId' | 'name' | 'symbol' | 'tokens'>, typed: string | null): SendableAsset {
  const all = assetsOn(chain);
  const wanted = typed?.toLowerCase() ?? NATIVE_TOKEN;
  const [found, ...others] = all.filter(({ token, symbol }) => [token, symbol].some((name) => name.toLowerCase() === wanted));
  // Two of one name: only the address tells them apart.
  if (found === undefined || others.length > 0) throw new HearthlendError('ASSET_UNKNOWN', { asset: typed ?? '', chain: chain.name });
  return found;
}
