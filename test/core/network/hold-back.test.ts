import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { NetworkTerms } from '../../../core/contract/joining.ts';
import { owedUnpromised, requireCreditFor } from '../../../core/network/hold-back.ts';

const TERMS: NetworkTerms = {
  ...{ id: 'studio', operator: 'Ann', contact: '', rules: '', coordinator: `0x${'1'.repeat(40)}`, asset: 'eip155:1/slip44:60' },
  ...{ symbol: 'ETH', decimals: 18, categories: [], isolation: ['os'], holdBackMs: 86_340_000 },
  prices: [
    { unit: 'token', perUnit: '1000000000000', note: '' },
    { unit: 'run', perUnit: '3000000000000', note: '' },
  ],
  settlement: { chainId: 1, contract: `0x${'2'.repeat(40)}`, payer: `0x${'3'.repeat(40)}`, epochMs: 60_000 },
};

it('reckons what is held back by the best price and the measured speed, and by one unit where nothing was measured', () => {
  // A day of 50 tokens a second.
  expect(owedUnpromised(TERMS, 50)).toBe(50n * 86_400n * 10n ** 12n);
  expect(owedUnpromised(TERMS, null)).toBe(3n * 10n ** 12n);
  expect(owedUnpromised({ ...TERMS, prices: [] }, 50)).toBe(0n);
  expect(owedUnpromised({ ...TERMS, settlement: null }, 50)).toBeNull();
});

it('refuses a credit limit that the hold-back alone uses up, with the numbers; none, or one that is enough, is taken', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.001, max: 1e5, noNaN: true }), fc.bigInt({ min: 0n, max: 10n ** 24n }), (speed, limit) => {
      const least = owedUnpromised(TERMS, speed) as bigint;
      const ask = () => requireCreditFor(TERMS, limit.toString(), speed);
      if (limit >= least) expect(ask).not.toThrow();
      else expect(ask).toThrow(/CREDIT_LIMIT_LOW/);
    }),
  );
  const attempt = () => requireCreditFor(TERMS, '1000000000000000000', 50);
  expect(attempt).toThrow(expect.objectContaining({ params: { network: 'studio', limit: '1 ETH', least: '4.32 ETH', hours: 24 } }));
  requireCreditFor(TERMS, null, 50);
  requireCreditFor({ ...TERMS, settlement: null }, '0', 50);
});
