import { amountText } from '../../core/contract/amounts.ts';
import { formatBaseUnits } from '../../core/contract/money.ts';

const FEE_DIGITS = 3;

/** What may be paid at the most: rounded up to three digits that say something, so that nothing costs more than was read. */
export function atMostText(amountBaseUnits: bigint, decimals: number): string {
  const digits = amountBaseUnits.toString().length;
  if (digits <= FEE_DIGITS) return formatBaseUnits(amountBaseUnits, decimals);
  const step = 10n ** BigInt(digits - FEE_DIGITS);
  return formatBaseUnits(((amountBaseUnits + step - 1n) / step) * step, decimals);
}

/** An amount with its unit, cut to what is read at first sight. */
export function moneyText(amount: string, { decimals, symbol }: { decimals: number; symbol: string }): string {
  return `${amountText(BigInt(amount), decimals)} ${symbol}`;
}

/** An amount with its unit, to the last digit: what somebody decides by. */
export function exactText(amount: string, { decimals, symbol }: { decimals: number; symbol: string }): string {
  return `${formatBaseUnits(BigInt(amount), decimals)} ${symbol}`;
}
