import { formatBaseUnits } from './money.ts';
import type { AssetEarnings } from './snapshot.ts';

const SHOWN_FRACTION_DIGITS = 2;
const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/**
 * An amount as people read it: grouped, two digits after the point, more where it would otherwise look like nothing. Cut, never
 * rounded up: the screen must not promise a unit too much.
 */
export function amountText(amountBaseUnits: bigint, decimals: number): string {
  const [whole = '0', fraction = ''] = formatBaseUnits(amountBaseUnits, decimals).split('.');
  const firstDigit = fraction.search(/[1-9]/);
  const digits =
    whole === '0' && firstDigit >= 0 ? Math.max(SHOWN_FRACTION_DIGITS, firstDigit + SHOWN_FRACTION_DIGITS) : SHOWN_FRACTION_DIGITS;
  const shown = fraction.slice(0, digits).replace(/0+$/, '');
  const padded = shown.padEnd(Math.min(decimals, SHOWN_FRACTION_DIGITS), '0');
  return grouped.format(BigInt(whole)) + (padded === '' ? '' : `.${padded}`);
}

export function countText(count: number): string {
  return grouped.format(count);
}

/** Money before practice, else in the order in which they came. */
export function moneyFirst(earnings: readonly AssetEarnings[]): AssetEarnings[] {
  return [...earnings].sort((a, b) => Number(a.practice) - Number(b.practice));
}

/** The one number of the hero: today's money where there is any asset of worth, else today's checked tasks. */
export type TodaysNumber = { unit: 'tasks'; count: number } | { unit: 'money'; amount: string; symbol: string };

export function todaysNumber(earnings: readonly AssetEarnings[]): TodaysNumber {
  const money = earnings.find((asset) => !asset.practice);
  if (money !== undefined) return { unit: 'money', amount: amountText(BigInt(money.acceptedToday), money.decimals), symbol: money.symbol };
  return { unit: 'tasks', count: earnings.reduce((sum, asset) => sum + asset.acceptedShardsToday, 0) };
}
