import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EarningsReport } from '../../../core/contract/earnings.ts';
import { practiceCredit } from '../../../core/contract/money.ts';
import { worthOf } from '../../../core/earnings/fiat.ts';
import { type EarnedSource, earningsReport, type ReportParts } from '../../../core/earnings/report.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START = 20_000 * DAY_MS;
const TOKEN = 'eip155:1612/slip44:60';
const PRACTICE = practiceCredit('local');
const MODEL = '7'.repeat(64);
type Sums = ReturnType<EarnedSource['until']>;

interface Event extends Partial<Sums> {
  at: number;
  asset: string;
  network?: string;
  device?: string;
}

/** A record of these events, added up anew at each question. */
function record(events: readonly Event[], waiting: ReturnType<EarnedSource['waiting']> = []): EarnedSource {
  const nameIn = (event: Event, part: string) =>
    part === 'all' ? '' : part === 'network' ? (event.network ?? 'n') : part === 'model' ? MODEL : (event.device ?? '');
  const of = (key: { part: string; name: string; asset: string }) =>
    events.filter((event) => event.asset === key.asset && nameIn(event, key.part) === key.name);
  const joules = (event: Event) => (event.measured ?? 0) + (event.estimated ?? 0);
  return {
    until(key, at) {
      const before = of(key).filter((event) => event.at < at);
      const amount = (name: 'accepted' | 'promised' | 'paid') => before.reduce((sum, event) => sum + (event[name] ?? 0n), 0n);
      const count = (name: 'acceptedShards' | 'measured' | 'estimated' | 'knownShards') =>
        before.reduce((sum, event) => sum + (event[name] ?? 0), 0);
      return {
        ...{ accepted: amount('accepted'), promised: amount('promised'), paid: amount('paid'), acceptedShards: count('acceptedShards') },
        ...{ measured: count('measured'), estimated: count('estimated'), knownShards: count('knownShards') },
      };
    },
    keys: (part) =>
      [...new Set(events.map((event) => `${nameIn(event, part)} ${event.asset}`))].map((text) => {
        const [name = '', asset = ''] = text.split(' ');
        return { part, name, asset };
      }),
    energies: (key, from, to) =>
      of(key)
        .filter((event) => event.at >= from && event.at < to && joules(event) > 0)
        .map((event) => ({ at: event.at, millijoules: joules(event) })),
    since: (key) => of(key).find(({ acceptedShards }) => (acceptedShards ?? 0) > 0)?.at ?? null,
    waiting: () => waiting,
  };
}

const parts = (source: EarnedSource, changes: Partial<ReportParts> = {}): ReportParts => ({
  source,
  electricity: { currency: 'EUR', tariff: { kind: 'fixed', perKwh: 0.5 } },
  price: (asset) => (asset === TOKEN ? { price: '2.5', currency: 'EUR', at: START, source: 'manual' } : null),
  shownAs: (asset) => (asset === TOKEN ? { symbol: 'OPEN', decimals: 18 } : { symbol: 'practice', decimals: 0 }),
  modelName: () => 'model',
  deviceName: () => null,
  ...changes,
});
const ONE = 10n ** 18n;
const events: Event[] = [
  { at: START + HOUR_MS, asset: TOKEN, accepted: 2n * ONE, acceptedShards: 2, measured: 3_600_000_000, knownShards: 2, device: 'cpu' },
  {
    at: START + 30 * HOUR_MS,
    asset: TOKEN,
    accepted: ONE,
    acceptedShards: 1,
    promised: 3n * ONE,
    estimated: 1_800_000_000,
    knownShards: 1,
  },
  { at: START + 30 * HOUR_MS, asset: PRACTICE, accepted: 40n, acceptedShards: 4, network: 'local' },
];

test('days have the four numbers of each asset, practice apart, energy as far as it is known, and what is left', () => {
  const waiting = [{ network: 'n', model: MODEL, device: null, asset: TOKEN, amount: '5', at: START + 31 * HOUR_MS }];
  const report = earningsReport({ from: START, to: START + 2 * DAY_MS, by: 'day', zone: 'UTC' }, parts(record(events, waiting)));
  expect(EarningsReport.parse(report)).toEqual(report);
  const [first, second] = report.rows;
  expect(first).toMatchObject({
    money: [{ accepted: (2n * ONE).toString(), promised: '0', fiat: { value: '5', price: '2.5', currency: 'EUR', pricedAt: START } }],
    practice: [],
    energy: { measuredWh: 1000, estimatedWh: null, knownShards: 2, acceptedShards: 2 },
    net: { electricity: 0.5, net: 4.5, missing: null },
  });
  expect(second).toMatchObject({
    money: [{ expected: '5', accepted: ONE.toString(), promised: (3n * ONE).toString(), paid: '0' }],
    practice: [{ accepted: '40', fiat: null }],
    energy: { measuredWh: null, estimatedWh: 500, knownShards: 1, acceptedShards: 5 },
    net: { electricity: 0.25, net: 2.25 },
  });
  expect(report.total.money[0]?.accepted).toBe((3n * ONE).toString());
  expect(report.since).toBe(START + HOUR_MS);
});

test('what is missing is named: no tariff, no known energy, no price in that currency; where nothing was done nothing was used', () => {
  const query = { from: START, to: START + DAY_MS, by: 'day', zone: 'UTC' } as const;
  const total = (changes: Partial<ReportParts>, of: readonly Event[] = events) =>
    earningsReport(query, parts(record(of), changes)).total.net;
  expect(total({ electricity: { currency: 'EUR', tariff: null } })).toEqual({
    currency: 'EUR',
    electricity: null,
    net: null,
    missing: 'tariff',
  });
  expect(total({ price: () => null })).toMatchObject({ electricity: 0.5, net: null, missing: 'price' });
  expect(total({ electricity: { currency: 'USD', tariff: null } })).toMatchObject({ missing: 'price' });
  expect(total({}, [{ at: START, asset: TOKEN, accepted: 1n, acceptedShards: 1 }])).toMatchObject({ electricity: null, missing: 'energy' });
  expect(total({ electricity: { currency: 'EUR', tariff: null } }, [])).toEqual({ currency: 'EUR', electricity: 0, net: 0, missing: null });
});

test('by device, model and network only those are rows that have anything, and vouchers are known by network alone', () => {
  const query = { from: START, to: START + 2 * DAY_MS, zone: 'UTC' };
  const device = earningsReport({ ...query, by: 'device' }, parts(record(events)));
  expect(device.rows.map(({ key }) => key)).toEqual([
    { by: 'device', device: 'cpu', name: null },
    { by: 'device', device: null, name: null },
  ]);
  expect(device.rows[0]?.money[0]).toMatchObject({ promised: null, paid: null });
  const network = earningsReport({ ...query, by: 'network' }, parts(record(events)));
  expect(network.rows.map(({ key }) => key)).toEqual([
    { by: 'network', network: 'n' },
    { by: 'network', network: 'local' },
  ]);
  expect(network.rows[0]?.money[0]?.promised).toBe((3n * ONE).toString());
  const model = earningsReport({ ...query, by: 'model', to: START + HOUR_MS }, parts(record(events)));
  expect(model.rows).toEqual([]);
  expect(EarningsReport.parse(model).total).toMatchObject({ money: [], practice: [] });
});

test("an hourly tariff's price is that of the zone's own hour", () => {
  const perKwh = Array.from({ length: 24 }, (_, hour) => hour / 10);
  const hourly = parts(record(events), { electricity: { currency: 'EUR', tariff: { kind: 'hourly', perKwh } } });
  const cost = (zone: string) =>
    earningsReport({ from: START, to: START + 6 * HOUR_MS, by: 'network', zone }, hourly).total.net.electricity;
  expect(cost('UTC')).toBeCloseTo(0.1);
  expect(cost('Asia/Tokyo')).toBeCloseTo(1);
});

test('rows of whatever size add up to the total, to the last unit, with 18 decimals and near 2^255', () => {
  const event = fc.record({
    at: fc.integer({ min: START, max: START + 10 * DAY_MS }),
    asset: fc.constantFrom(TOKEN, 'eip155:1/slip44:60', PRACTICE),
    accepted: fc.bigInt({ min: 0n, max: 1n << 255n }),
    acceptedShards: fc.constant(1),
    network: fc.constantFrom('a', 'b', 'c'),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 25 }), fc.constantFrom('hour', 'day', 'network', 'model', 'device'), (random, by) => {
      const report = earningsReport({ from: START, to: START + 11 * DAY_MS, by, zone: 'Asia/Kathmandu' }, parts(record(random)));
      for (const asset of [TOKEN, 'eip155:1/slip44:60', PRACTICE]) {
        const sum = random.filter((each) => each.asset === asset).reduce((total, { accepted }) => total + accepted, 0n);
        const rows = report.rows.flatMap(({ money, practice }) => [...money, ...practice]).filter((each) => each.asset === asset);
        expect(rows.reduce((total, { accepted }) => total + BigInt(accepted), 0n)).toBe(sum);
        const total = [...report.total.money, ...report.total.practice].find((each) => each.asset === asset);
        expect(BigInt(total?.accepted ?? 0)).toBe(sum);
      }
    }),
    { numRuns: 40 },
  );
});

test('a value is amount times price to the last digit', () => {
  expect(worthOf(ONE / 2n, 18, '0.1')).toBe('0.05');
  expect(worthOf(1n, 18, '3')).toBe('0.000000000000000003');
  expect(worthOf(0n, 18, '3.25')).toBe('0');
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 1n << 255n }), fc.nat({ max: 18 }), fc.nat({ max: 10 ** 9 }), (amount, decimals, price) => {
      const value = worthOf(amount, decimals, `${Math.floor(price / 1000)}.${String(price % 1000).padStart(3, '0')}`);
      const [whole = '', fraction = ''] = value.split('.');
      const places = decimals + 3;
      expect(BigInt(whole + fraction.padEnd(places, '0'))).toBe(amount * BigInt(price));
    }),
  );
});
