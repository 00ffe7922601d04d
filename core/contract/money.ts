import { z } from 'zod';

const LARGEST = ((1n << 256n) - 1n).toString();

/** An amount in base units (wei, practice credits' smallest part): a decimal string in JSON and SQLite, a bigint in code. Below 2^256. */
export const Amount = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,77})$/)
  // As text, since this also sees what the pattern has refused, and BigInt would throw on that.
  .refine((text) => text.length < LARGEST.length || text <= LARGEST, 'amount exceeds 2^256 - 1');
export type Amount = z.infer<typeof Amount>;

/** What an amount is of: a CAIP-19 asset id, or `hearth:<network>/credit:practice`. Source: chainagnostic.org/CAIPs/caip-19. */
export const AssetId = z.string().regex(/^[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}\/[-a-z0-9]{3,8}:[-.%a-zA-Z0-9]{1,128}$/);
export type AssetId = z.infer<typeof AssetId>;

/** The asset that practice on a network is counted in. It is worth nothing and is never shown as money. */
export function practiceCredit(networkId: string): AssetId {
  return `hearth:${networkId}/credit:practice`;
}

export function isPracticeCredit(asset: AssetId): boolean {
  return asset.startsWith('hearth:') && asset.endsWith('/credit:practice');
}

/** Decimals with which an amount of this asset is shown. Practice credits have none; other assets bring their own. */
export function formatBaseUnits(amountBaseUnits: bigint, decimals: number): string {
  if (decimals === 0) return amountBaseUnits.toString();
  const sign = amountBaseUnits < 0n ? '-' : '';
  const digits = (amountBaseUnits < 0n ? -amountBaseUnits : amountBaseUnits).toString().padStart(decimals + 1, '0');
  const fraction = digits.slice(-decimals).replace(/0+$/, '');
  return `${sign}${digits.slice(0, -decimals)}${fraction === '' ? '' : `.${fraction}`}`;
}

/** Base units of what somebody typed in whole units, to the last digit; null for what is no such amount, or has more digits than there are. */
export function parseBaseUnits(text: string, decimals: number): bigint | null {
  const typed = /^([0-9]{1,78})(?:\.([0-9]{1,36}))?$/.exec(text.trim());
  const [, whole = '', fraction = ''] = typed ?? [];
  if (typed === null || fraction.length > decimals) return null;
  const units = BigInt(whole + fraction.padEnd(decimals, '0'));
  return units >= 1n << 256n ? null : units;
}

/** What `units` cost at `unitPrice` base units each. The worker computes this for itself and refuses a receipt that says otherwise. */
export function priceOf(units: number, unitPrice: Amount): bigint {
  if (!Number.isSafeInteger(units) || units < 0) throw new RangeError(`units must be a whole number, not ${units}`);
  return BigInt(units) * BigInt(unitPrice);
}
