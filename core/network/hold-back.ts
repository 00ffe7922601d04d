import { HearthlendError } from '../contract/errors.ts';
import type { NetworkTerms } from '../contract/joining.ts';
import { formatBaseUnits } from '../contract/money.ts';
import { quotePerHour } from './pay.ts';

const HOUR_MS = 3_600_000;

/**
 * What a network comes to owe this machine before it may promise any of it, in base units: what its best price per token brings here while work is
 * held back and gathers for a voucher, and one unit at its dearest price at least. Null where it promises nothing. Pure.
 * @param tokensPerSecond what a benchmark measured here; null before the first one
 */
export function owedUnpromised({ prices, holdBackMs, settlement }: NetworkTerms, tokensPerSecond: number | null): bigint | null {
  if (settlement === null) return null;
  const delayMs = BigInt(holdBackMs + settlement.epochMs);
  const accrued = prices
    .filter(({ unit }) => unit === 'token')
    .map(({ perUnit }) => ((quotePerHour({ perToken: perUnit }, tokensPerSecond) ?? 0n) * delayMs) / BigInt(HOUR_MS));
  return [...accrued, ...prices.map(({ perUnit }) => BigInt(perUnit))].reduce((most, each) => (each > most ? each : most), 0n);
}

/**
 * A limit that the hold-back alone uses up would stop the work each time before the network could promise anything.
 * @throws CREDIT_LIMIT_LOW
 */
export function requireCreditFor(terms: NetworkTerms, creditLimit: string | null | undefined, tokensPerSecond: number | null): void {
  if (creditLimit == null || terms.settlement === null) return;
  const least = owedUnpromised(terms, tokensPerSecond) ?? 0n;
  if (BigInt(creditLimit) >= least) return;
  const shown = (amount: bigint) => `${formatBaseUnits(amount, terms.decimals)} ${terms.symbol}`;
  const hours = Math.round(((terms.holdBackMs + terms.settlement.epochMs) / HOUR_MS) * 10) / 10;
  throw new HearthlendError('CREDIT_LIMIT_LOW', { network: terms.id, limit: shown(BigInt(creditLimit)), least: shown(least), hours });
}
