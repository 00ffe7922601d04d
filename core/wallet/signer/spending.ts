import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { id } from 'ethers';
import { z } from 'zod';
import { canonicalJson, Sha256 } from '../../contract/digest.ts';
import { HearthlendError } from '../../contract/errors.ts';
import { Amount, AssetId } from '../../contract/money.ts';
import type { Address } from '../../contract/receipt.ts';
import { storageError } from '../../contract/storage-error.ts';
import { MAX_SPEND_LIMITS, type SpendLimit } from '../../contract/wallet.ts';
import { putFile } from '../durable.ts';
import type { HeldKey } from './keys.ts';
import type { Spending } from './meaning.ts';

type WalletKey = Pick<HeldKey, 'address' | 'privateKey'>;

const DAY_MS = 86_400_000;
const MAX_FILE_BYTES = 1 << 20;
/** More signatures a day are no person's. */
const MAX_SIGNED = 1000;

/** Limits and what was signed within the last day, in base units by asset. */
const Spent = z.strictObject({
  limits: z.record(AssetId, Amount),
  signed: z.array(z.strictObject({ at: z.int(), chainId: z.int(), nonce: z.int(), asset: AssetId, amount: Amount })).max(MAX_SIGNED),
});
type Spent = z.infer<typeof Spent>;
const SpentFile = z.strictObject({ content: Spent, mac: Sha256 });

const NOTHING_SPENT: Spent = { limits: {}, signed: [] };

/**
 * What is on record once this is signed as well. Of several under one nonce only one can be mined, so the largest of each asset counts. An asset
 * that nobody has set a limit for has none of it to spend. Pure. @throws SPEND_LIMIT_REACHED
 */
export function spend(before: Spent, { chainId, nonce, amounts }: Spending, now: number): Spent {
  // Of a time to come: the clock was set back. Those go on counting.
  let signed = before.signed.filter(({ at }) => now - at < DAY_MS);
  for (const { asset, amount } of amounts) {
    const isThis = (each: Spent['signed'][number]) => each.chainId === chainId && each.nonce === nonce && each.asset === asset;
    const earlier = signed.filter(isThis).reduce((most, each) => larger(most, BigInt(each.amount)), 0n);
    const others = signed.filter((each) => !isThis(each));
    const counted = larger(amount, earlier);
    const total = others.filter((each) => each.asset === asset).reduce((sum, each) => sum + BigInt(each.amount), counted);
    const limit = BigInt(before.limits[asset] ?? '0');
    if (total > limit || others.length >= MAX_SIGNED) {
      throw new HearthlendError('SPEND_LIMIT_REACHED', { asset, total: total.toString(), limit: limit.toString() });
    }
    signed = [...others, { at: now, chainId, nonce, asset, amount: counted.toString() }];
  }
  return { limits: before.limits, signed };
}

/** Pure. @throws SPEND_LIMIT_REACHED where there are too many assets */
export function withLimit(before: Spent, asset: AssetId, perDay: Amount): Spent {
  const limits = { ...before.limits, [asset]: perDay };
  if (Object.keys(limits).length > MAX_SPEND_LIMITS) throw new HearthlendError('SPEND_LIMIT_REACHED', { asset, total: perDay, limit: '0' });
  return { limits, signed: before.signed };
}

/**
 * What this wallet has spent, by its own file, which holds a mark that only its key can make: one that was written by anybody else counts as
 * damaged, and nothing is spent until it is gone, and with it all limits. @throws SPENDING_INVALID, DATA_DIR_UNWRITABLE
 */
export function readSpent(folder: string, { address, privateKey }: WalletKey): Spent {
  const path = spentPath(folder, address);
  let text: string;
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return NOTHING_SPENT;
    if (!found.isFile() || found.size > MAX_FILE_BYTES) throw new HearthlendError('SPENDING_INVALID', { path });
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    throw storageError(path, thrown);
  }
  try {
    const { content, mac } = SpentFile.parse(JSON.parse(text));
    if (timingSafeEqual(Buffer.from(mac, 'hex'), markOf(content, privateKey))) return content;
  } catch {
    // Said below.
  }
  throw new HearthlendError('SPENDING_INVALID', { path });
}

/**
 * Limits and what was signed within the last day, as the file says, which nobody without the key can check: to be shown, not to decide by. Empty where
 * it can't be read, since the signer says then what is wrong with it.
 */
export function shownSpending(folder: string, address: Address, now: number): SpendLimit[] {
  let content: Spent;
  try {
    const path = spentPath(folder, address);
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? MAX_FILE_BYTES + 1) > MAX_FILE_BYTES) return [];
    content = SpentFile.parse(JSON.parse(readFileSync(path, 'utf8'))).content;
  } catch {
    return [];
  }
  return Object.entries(content.limits).map(([asset, perDay]) => {
    const recent = content.signed.filter((each) => each.asset === asset && now - each.at < DAY_MS);
    return { asset, perDay, spent: recent.reduce((sum, { amount }) => sum + BigInt(amount), 0n).toString() };
  });
}

/** Durable when it returns: what was signed and forgotten could be spent twice. @throws DISK_FULL, DATA_DIR_UNWRITABLE */
export function writeSpent(folder: string, content: Spent, { address, privateKey }: WalletKey): void {
  putFile(spentPath(folder, address), `${JSON.stringify({ content, mac: markOf(content, privateKey).toString('hex') })}\n`, 'replace');
}

function markOf(content: Spent, privateKey: string): Buffer {
  // A key of its own, from which the wallet's can't be told.
  const key = createHmac('sha256', Buffer.from(privateKey.slice(2), 'hex'))
    .update(id('Hearthlend spending limits'))
    .digest();
  return createHmac('sha256', key).update(canonicalJson(content)).digest();
}

/** Another wallet in this one's place has a record of its own. */
function spentPath(folder: string, address: Address): string {
  return join(folder, `spending-${address}.json`);
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
