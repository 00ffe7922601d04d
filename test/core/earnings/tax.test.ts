import { expect, test } from 'vitest';
import { practiceCredit } from '../../../core/contract/money.ts';
import { type Income, taxPage, taxRows } from '../../../core/earnings/tax.ts';

const TOKEN = 'eip155:1612/slip44:60';
const income = (entry: number, changes: Partial<Income> = {}): Income => ({
  ...{
    entry,
    at: Date.UTC(2026, 2, 1) + entry,
    kind: 'receipt',
    network: 'paid',
    asset: TOKEN,
    amount: '1500000000000000000',
    shared: '7',
  },
  ...{ payee: `0x${'a1'.repeat(20)}`, reference: `${entry} s${entry}`, transaction: null },
  ...changes,
});
const parts = {
  priceAt: (_: string, at: number) => (at % 2 === 0 ? { price: '2.5', currency: 'EUR', at: 0, source: '=prices.example' } : null),
  shownAs: () => ({ symbol: 'OPEN', decimals: 18 }),
};

test('each receipt and claim is a line with its time, amount, value and where that comes from; practice is left out, formulas are defused', () => {
  const incomes = [
    income(2),
    income(3, { kind: 'claim', transaction: '0xcd' }),
    income(4, { asset: practiceCredit('local') }),
    income(6, { network: '=1+1' }),
  ];
  const [names, ...rows] = [...taxRows(incomes, parts)].map((line) => line.trimEnd().split(','));
  const named = rows.map((row) => Object.fromEntries(row.map((field, index) => [names?.[index] ?? '', field])));
  expect(named[0]).toEqual({
    ...{ time: '2026-03-01T00:00:00.002Z', kind: 'receipt', network: 'paid', asset: TOKEN, symbol: 'OPEN' },
    ...{ amount: '1.5', amountBaseUnits: '1500000000000000000', sharedBaseUnits: '7', value: '3.75', currency: 'EUR', price: '2.5' },
    ...{ priceTime: '1970-01-01T00:00:00.000Z', priceSource: "'=prices.example", payee: `0x${'a1'.repeat(20)}` },
    ...{ reference: '2 s2', transaction: '', entry: '2' },
  });
  expect(named[1]).toMatchObject({ kind: 'claim', value: '', currency: '', priceSource: '', transaction: '0xcd' });
  expect(named[2]).toMatchObject({ entry: '6', network: "'=1+1" });
  expect(named).toHaveLength(3);
});

test('pages put together are the whole, whatever their size, and a page is never much longer than asked', () => {
  const incomes = Array.from({ length: 50 }, (_, index) => income(index + 1, index % 7 === 0 ? { asset: practiceCredit('local') } : {}));
  const whole = [...taxRows(incomes, parts)].join('');
  for (const characters of [1, 500, 100_000]) {
    let text = '';
    let rows = 0;
    let after: number | null = null;
    do {
      const rest = incomes.filter(({ entry }) => entry > (after ?? 0));
      const page = taxPage(rest, { first: after === null, characters }, parts);
      expect(page.text.length).toBeLessThan(characters + 600);
      text += page.text;
      rows += page.rows;
      after = page.next;
    } while (after !== null);
    expect(text).toBe(whole);
    expect(rows).toBe(whole.trimEnd().split('\r\n').length - 1);
  }
});
