import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EarningsForecast } from '../../../core/contract/earnings.ts';
import { practiceCredit } from '../../../core/contract/money.ts';
import { backTest, earningsForecast, errorOf, forecastRange } from '../../../core/earnings/forecast.ts';

const DAY_MS = 86_400_000;
const TODAY = 20_000 * DAY_MS;
const days = fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 0, maxLength: 120 });

test('a range lies within what stretches of before brought, and says nothing before a week is on record', () => {
  fc.assert(
    fc.property(days, fc.integer({ min: 1, max: 31 }), (before, length) => {
      const range = forecastRange(before, length);
      if (before.length < 7 || before.length < length + 3) expect(range).toBeNull();
      if (range === null) return;
      expect(range.least).toBeLessThanOrEqual(range.middle);
      expect(range.middle).toBeLessThanOrEqual(range.most);
      const sums = before.map((_, start) => before.slice(start, start + length)).filter((each) => each.length === length);
      const totals = sums.map((each) => each.reduce((sum, day) => sum + day, 0));
      expect(totals).toEqual(expect.arrayContaining([range.least, range.middle, range.most]));
    }),
  );
});

test('who earns the same every week is forecast to the unit, on each weekday, and never missed', () => {
  const week = [10, 0, 30, 0, 50, 60, 0];
  const daily = Array.from({ length: 70 }, (_, day) => week[day % 7] as number);
  expect(forecastRange(daily, 7)).toEqual({ least: 150, middle: 150, most: 150 });
  expect(forecastRange(daily, 1)).toEqual({ least: 10, middle: 10, most: 10 });
  const tests = backTest(daily, 7);
  expect(tests.every(({ came, middle }) => came === middle)).toBe(true);
  expect(errorOf(tests)).toEqual({ held: 1, missedBy: 0 });
});

test('a test of before knows nothing of what came after it, and what it missed is told', () => {
  const daily = [...Array.from({ length: 28 }, () => 10), ...Array.from({ length: 7 }, () => 100)];
  const tests = backTest(daily, 7);
  expect(tests.at(-1)).toMatchObject({ index: 28, least: 70, most: 70, came: 700 });
  expect(errorOf(tests).held).toBeLessThan(1);
  expect(errorOf(tests).missedBy).toBeCloseTo(630 / tests.length / ((700 + 70 * (tests.length - 1)) / tests.length));
  expect(errorOf([])).toEqual({ held: null, missedBy: null });
  expect(errorOf([{ least: 0, middle: 0, most: 0, came: 0 }])).toEqual({ held: 1, missedBy: null });
});

/** A record in which each whole day brought so many base units of a token. */
function source(daily: readonly number[], asset = 'eip155:1612/slip44:60') {
  const first = TODAY - daily.length * DAY_MS;
  return {
    keys: () => [{ part: 'all' as const, name: '', asset }],
    since: () => (daily.length === 0 ? null : first - DAY_MS / 2),
    until: (_: unknown, at: number) => {
      const over = Math.min(daily.length, Math.max(0, Math.floor((at - first) / DAY_MS)));
      const accepted = BigInt(daily.slice(0, over).reduce((sum, day) => sum + day, 0));
      return { accepted, acceptedShards: 0, promised: 0n, paid: 0n, measured: 0, estimated: 0, knownShards: 0 };
    },
  };
}
const shownAs = () => ({ symbol: 'OPEN', decimals: 18 });

test('the forecast is of whole days from the next midnight on, with what was said of days past beside what came', () => {
  const daily = Array.from({ length: 30 }, (_, day) => 1000 + (day % 7));
  const forecast = earningsForecast({ zone: 'UTC', days: 7, now: TODAY + 5000 }, { source: source(daily), shownAs });
  expect(EarningsForecast.parse(forecast)).toEqual(forecast);
  expect(forecast).toMatchObject({ from: TODAY + DAY_MS, to: TODAY + 8 * DAY_MS, reason: null });
  const [asset] = forecast.assets;
  expect(asset).toMatchObject({ least: '7020', most: '7020', held: 1 });
  expect(asset?.past.at(-1)).toEqual({ from: TODAY - 7 * DAY_MS, to: TODAY, least: '7020', most: '7020', came: '7020' });
});

test('with too few days, or nothing but practice, it says why there is none', () => {
  const few = earningsForecast({ zone: 'UTC', days: 1, now: TODAY }, { source: source([1, 2, 3]), shownAs });
  expect(few).toMatchObject({ assets: [], reason: { key: 'reason.forecast-too-early', params: { days: 3, needed: 7 } } });
  const practice = earningsForecast(
    { zone: 'UTC', days: 1, now: TODAY },
    { source: source(Array(30).fill(5), practiceCredit('local')), shownAs },
  );
  expect(practice).toMatchObject({ assets: [], reason: { params: { days: 0 } } });
});
