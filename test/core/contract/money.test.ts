import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Amount, AssetId, formatBaseUnits, isPracticeCredit, practiceCredit, priceOf } from '../../../core/contract/money.ts';

const MAX = (1n << 256n) - 1n;
const amounts = fc.bigInt({ min: 0n, max: MAX });

test('an amount is a decimal string below 2^256, and reads back as the same number', () => {
  fc.assert(
    fc.property(amounts, (amount) => {
      expect(BigInt(Amount.parse(amount.toString()))).toBe(amount);
    }),
  );
  expect(Amount.safeParse(MAX.toString()).success).toBe(true);
  for (const wrong of [
    (MAX + 1n).toString(),
    `9${'0'.repeat(77)}`,
    '01',
    '',
    '-1',
    '+1',
    '1.0',
    '1e3',
    '0x1',
    ' 1',
    '1\n',
    '１',
    'lots',
    '9'.repeat(500),
  ]) {
    expect(Amount.safeParse(wrong).success, wrong).toBe(false);
  }
  for (const wrong of [1, 1n, null, undefined, {}]) expect(Amount.safeParse(wrong).success).toBe(false);
});

test('what is formatted in decimals is the same number again', () => {
  fc.assert(
    fc.property(amounts, fc.integer({ min: 0, max: 36 }), fc.boolean(), (magnitude, decimals, negative) => {
      const amount = negative ? -magnitude : magnitude;
      const text = formatBaseUnits(amount, decimals);
      const [whole = '', fraction = ''] = text.replace('-', '').split('.');
      expect(BigInt(whole + fraction.padEnd(decimals, '0'))).toBe(magnitude);
      expect(text.startsWith('-')).toBe(amount < 0n);
      expect(text).toMatch(/^-?(0|[1-9]\d*)(\.\d*[1-9])?$/);
    }),
  );
  expect(formatBaseUnits(1_500_000_000_000_000_000n, 18)).toBe('1.5');
  expect(formatBaseUnits(5n, 18)).toBe('0.000000000000000005');
  expect(formatBaseUnits(0n, 18)).toBe('0');
});

test('a price is units times the unit price, exactly, and of whole units alone', () => {
  fc.assert(
    fc.property(fc.nat(), amounts, (units, price) => {
      expect(priceOf(units, price.toString())).toBe(BigInt(units) * price);
    }),
  );
  expect(priceOf(Number.MAX_SAFE_INTEGER, MAX.toString())).toBe(BigInt(Number.MAX_SAFE_INTEGER) * MAX);
  for (const units of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) expect(() => priceOf(units, '1')).toThrow(RangeError);
});

test('practice credits are an asset of their network, and nothing else passes for one', () => {
  expect(AssetId.parse(practiceCredit('local'))).toBe('hearth:local/credit:practice');
  expect(isPracticeCredit(practiceCredit('local'))).toBe(true);
  for (const other of ['eip155:1/credit:practice', 'hearth:local/credit:practice2', 'eip155:1/erc20:0xhearth:local/credit:practice']) {
    expect(isPracticeCredit(other)).toBe(false);
  }
  for (const asset of ['eip155:1612/slip44:60', 'eip155:1/erc20:0xA227Cc36938f0c9E09CE0e64dfab226cad739447']) {
    expect(AssetId.safeParse(asset).success).toBe(true);
  }
  for (const wrong of ['', 'eip155', 'eip155:1', 'EIP155:1/erc20:x', 'a b:1/erc20:x', 'eip155:1/erc20:=1+1']) {
    expect(AssetId.safeParse(wrong).success, wrong).toBe(false);
  }
});
