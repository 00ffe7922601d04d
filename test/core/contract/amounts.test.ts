import fc from 'fast-check';
import { expect, test } from 'vitest';
import { amountText, moneyFirst, todaysNumber } from '../../../core/contract/amounts.ts';
import { earning, practising } from '../../fakes/snapshots.ts';

test('amounts are grouped and cut after two digits', () => {
  expect(amountText(1_204_500_000_000_000_000_000n, 18)).toBe('1,204.50');
  expect(amountText(900n * 10n ** 18n, 18)).toBe('900.00');
  expect(amountText(48_209_999_999_999_999_999n, 18)).toBe('48.20');
  expect(amountText(12_345n, 0)).toBe('12,345');
  expect(amountText(15n, 1)).toBe('1.5');
  expect(amountText(0n, 18)).toBe('0.00');
});

test('an amount that two digits would make nothing shows its first digits', () => {
  expect(amountText(12_345_678n, 18)).toBe('0.000000000012');
});

test('the amount shown is never more than the amount, and less by under a hundredth', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), fc.integer({ min: 2, max: 36 }), (amount, decimals) => {
      const [whole = '', fraction = ''] = amountText(amount, decimals).replaceAll(',', '').split('.');
      const shown = BigInt(whole + fraction.padEnd(decimals, '0'));
      expect(fraction.length).toBeLessThanOrEqual(decimals);
      expect(shown <= amount && amount - shown < 10n ** BigInt(decimals - 2)).toBe(true);
    }),
  );
});

test('the one number is checked tasks while there is practice only, and money as soon as there is any', () => {
  expect(todaysNumber(practising().earnings)).toEqual({ unit: 'tasks', count: 128 });
  expect(todaysNumber([])).toEqual({ unit: 'tasks', count: 0 });
  expect(todaysNumber(earning().earnings)).toEqual({ unit: 'money', amount: '48.20', symbol: 'OPEN' });
  expect(moneyFirst(earning().earnings).map((asset) => asset.practice)).toEqual([false, true]);
});
