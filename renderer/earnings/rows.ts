import type { AssetSums, EarningsRow } from '../../core/contract/earnings.ts';
import { message } from '../../core/contract/messages.ts';
import { dayText, timeText } from '../words/times.ts';

const SHORT_DIGEST = 12;

/** What a row is of, in words. */
export function rowName({ key }: EarningsRow): string {
  switch (key.by) {
    case 'hour':
      return message('earned.hour', { from: timeText(key.from), to: timeText(key.to) });
    case 'day':
      return dayText(key.from);
    case 'network':
      return key.network;
    case 'model':
      return key.name ?? message('earned.model', { digest: key.model.slice(0, SHORT_DIGEST) });
    case 'device':
      return key.name ?? key.device ?? message('earned.device.unknown');
  }
}

/** The sums of one asset in a row; null where the row has none of it. */
export function sumsOf({ money, practice }: Pick<EarningsRow, 'money' | 'practice'>, asset: string): AssetSums | null {
  return [...money, ...practice].find((each) => each.asset === asset) ?? null;
}

/** Of each row what was accepted of an asset, as a share of the largest: 0 to 1. */
export function heights(rows: readonly EarningsRow[], asset: string): number[] {
  const amounts = rows.map((row) => BigInt(sumsOf(row, asset)?.accepted ?? '0'));
  let most = 0n;
  for (const amount of amounts) if (amount > most) most = amount;
  return amounts.map((amount) => (most === 0n ? 0 : Number((amount * 10_000n) / most) / 10_000));
}
