import fc from 'fast-check';
import { expect, test } from 'vitest';
import { earningsEstimate } from '../../../core/benchmark/earnings.ts';
import { median, repeat, spread } from '../../../core/benchmark/samples.ts';
import { busy, recommended, scoreOf, shardClasses, unsteady } from '../../../core/benchmark/score.ts';
import type { BackendScore, Figure } from '../../../core/contract/benchmark.ts';

const figure = (name: Figure['name'], value: number, spreadShare = 0.01): Figure => ({
  name,
  median: value,
  spread: spreadShare,
  samples: 5,
});
const FIGURES = [figure('matrixFp32', 200), figure('memoryBandwidth', 34), figure('tokens', 800)];
const backend = (change: Partial<BackendScore> = {}): BackendScore => ({
  backend: 'cpu',
  gpu: null,
  figures: FIGURES,
  error: null,
  score: 200,
  ...change,
});

test('a sample that lies far out changes neither median nor spread much', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(spread([10, 10, 10, 10, 1000])).toBe(0);
  expect(spread([9, 10, 11])).toBeCloseTo(0.1);
  expect(median([])).toBeNaN();
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0.1, max: 1e6, noNaN: true }), { minLength: 1 }), (values) => {
      expect(median(values)).toBeGreaterThanOrEqual(Math.min(...values));
      expect(median(values)).toBeLessThanOrEqual(Math.max(...values));
      expect(spread(values)).toBeGreaterThanOrEqual(0);
    }),
  );
});

test('samples that warm up do not count, the least number is always taken, and the budget bounds the rest', async () => {
  let now = 0;
  let taken = 0;
  const take = async () => {
    now += 10;
    taken += 1;
    return taken;
  };
  expect(await repeat(take, { warmUps: 2, least: 3, most: 9, budgetMs: 0 }, () => now)).toEqual([3, 4, 5]);
  expect(await repeat(take, { warmUps: 0, least: 1, most: 9, budgetMs: 35 }, () => now)).toEqual([6, 7, 8, 9]);
  expect(await repeat(take, { warmUps: 0, least: 1, most: 2, budgetMs: 1e9 }, () => now)).toHaveLength(2);
});

test('a machine that does everything twice as fast has twice the score; without a figure there is none', () => {
  const once = scoreOf(FIGURES) ?? 0;
  expect(scoreOf(FIGURES.map((each) => ({ ...each, median: each.median * 2 })))).toBeCloseTo(once * 2);
  expect(scoreOf(FIGURES.slice(1))).toBeNull();
  expect(scoreOf([...FIGURES.slice(1), figure('matrixFp32', 0)])).toBeNull();
});

test('a busy machine and figures that vary are noise; an unknown load and a figure nobody relies on are none', () => {
  expect(busy(0.6)).toEqual({ reason: 'busy', share: 0.6 });
  expect(busy(0.1)).toBeNull();
  expect(busy(null)).toBeNull();
  expect(unsteady([backend()])).toBeNull();
  const noisy = backend({ figures: [figure('tokens', 1, 0.3), figure('matrixFp32', 1, 0.2), figure('modelLoad', 1, 0.9)] });
  expect(unsteady([backend(), noisy])).toEqual({ reason: 'spread', share: 0.3, figure: 'tokens', backend: 'cpu', gpu: null });
});

test('the backend with the best score is recommended, and none where none has one', () => {
  const fast = backend({ backend: 'webgpu', gpu: '0000:01:00.0', score: 900 });
  expect(recommended([backend(), fast, backend({ backend: 'dml', score: null })])).toBe(fast);
  expect(recommended([backend({ score: null })])).toBeNull();
});

test('what a machine can serve follows from its memory and how fast it is', () => {
  const served = (bytes: number, bandwidth: number | null) =>
    shardClasses(bytes, bandwidth)
      .filter(({ serves }) => serves)
      .map(({ name }) => name);
  expect(served(4 * 2 ** 30, 17e9)).toEqual(['run-small', 'decoder-300m', 'decoder-1b']);
  expect(served(4 * 2 ** 30, null)).toEqual(['run-small']);
  expect(served(24e9, 900e9)).toEqual(['run-small', 'run-large', 'decoder-300m', 'decoder-1b', 'decoder-8b-4bit', 'decoder-8b']);
  expect(served(64e9, 60e9)).not.toContain('decoder-70b-4bit');
  expect(served(1e6, 1e12)).toEqual([]);
  expect(shardClasses(24e9, 900e9).find(({ name }) => name === 'decoder-8b')?.tokensPerSecond).toBeCloseTo(56, 0);
});

const QUOTE = { asset: 'hearth:net/credit:practice', perToken: '250', demand: { least: 0.1, most: 0.9 }, at: 7 };
const FACTS = {
  tokensPerSecond: 100,
  quotes: [{ network: 'net', quote: QUOTE }],
  electricity: { currency: 'EUR', tariff: { kind: 'fixed' as const, perKwh: 0.4 } },
  measuredWatts: 120,
  loadWatts: 300,
  hour: 13,
};

test('earnings are price × measured speed × stated demand, as a range with its date', () => {
  expect(earningsEstimate(FACTS)).toEqual({
    networks: [{ network: 'net', asset: QUOTE.asset, leastPerHour: '9000000', mostPerHour: '81000000', quotedAt: 7 }],
    electricity: { perHour: expect.closeTo(0.048), currency: 'EUR', watts: 120, measured: true },
  });
});

test('without a quoted price there is no figure, and without a tariff or watts no cost: unknown is not zero', () => {
  expect(earningsEstimate({ ...FACTS, quotes: [] }).networks).toEqual([]);
  expect(earningsEstimate({ ...FACTS, tokensPerSecond: null }).networks).toEqual([]);
  expect(earningsEstimate({ ...FACTS, electricity: { currency: 'EUR', tariff: null } }).electricity.perHour).toBeNull();
  expect(earningsEstimate({ ...FACTS, measuredWatts: null }).electricity).toMatchObject({ watts: 300, measured: false });
  expect(earningsEstimate({ ...FACTS, measuredWatts: null, loadWatts: null }).electricity).toMatchObject({ perHour: null, watts: null });
  const hourly = { kind: 'hourly' as const, perKwh: Array.from({ length: 24 }, (_, hour) => hour / 100) };
  expect(earningsEstimate({ ...FACTS, electricity: { currency: 'EUR', tariff: hourly } }).electricity.perHour).toBeCloseTo(0.12 * 0.13);
});

test('amounts stay whole numbers, however large', () => {
  const quote = { ...QUOTE, perToken: '123456789012345678901234567890' };
  const { networks } = earningsEstimate({ ...FACTS, quotes: [{ network: 'net', quote }] });
  expect(networks[0]?.mostPerHour).toBe(String(123456789012345678901234567890n * 324_000n));
});
