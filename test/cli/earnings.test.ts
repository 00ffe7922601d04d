import { expect, test } from 'vitest';
import type { AssetSums, EarningsQuery } from '../../core/contract/earnings.ts';
import { FakeApp } from '../fakes/app.ts';
import { emptySums } from '../fakes/earnings.ts';
import { openConsole } from './console.ts';

const DAY_MS = 86_400_000;
const asset: AssetSums = {
  ...{
    asset: 'eip155:1612/slip44:60',
    symbol: 'OPEN',
    decimals: 18,
    expected: '5',
    accepted: '1500000000000000000',
    promised: '1000000000000000000',
  },
  ...{ paid: '0', acceptedShards: 7, fiat: null },
};
const sums = {
  ...emptySums(),
  money: [asset],
  practice: [{ ...asset, asset: 'hearth:local/credit:practice', symbol: 'practice', decimals: 0, accepted: '40', promised: '0' }],
  energy: { measuredWh: null, estimatedWh: 12.3456, knownShards: 7, acceptedShards: 7 },
};

test('earnings are told in rows, each asset on a line of its own, the unknown as such, and as JSON to programs', async () => {
  const app = new FakeApp();
  const asked: EarningsQuery[] = [];
  app.handlers['earnings.report'] = async (query) => {
    asked.push(query);
    return { query, rows: [{ key: { by: 'device', device: 'cpu', name: null }, ...sums }], total: sums, since: 5 };
  };
  const console = openConsole(() => Object.assign(new FakeApp(), { handlers: app.handlers }));
  const command = console.run(
    'earnings',
    '--by',
    'device',
    '--from',
    '2026-03-01T00:00:00Z',
    '--to',
    '2026-03-02T00:00:00Z',
    '--zone',
    'UTC',
  );
  expect(await command.exitCode).toBe(0);
  expect(asked[0]).toEqual({ by: 'device', from: Date.UTC(2026, 2, 1), to: Date.UTC(2026, 2, 2), zone: 'UTC' });
  const [head, money, practice, total] = command.stdout.text.split('\n');
  expect(head?.split(/ +/)).toEqual(['device', 'of', 'tasks', 'expected', 'accepted', 'promised', 'paid', 'energy', 'net']);
  expect(money?.split(/ {2,}/)).toEqual(['processor', 'OPEN', '7', '≈ 0.000000000000000005', '1.5', '1', '0', '≈ 12.3 Wh', '–']);
  expect(practice?.trim().split(/ {2,}/).slice(0, 3)).toEqual(['practice', '7', '≈ 5']);
  expect(total).toMatch(/^all of it/);
  const json = console.run('earnings', '--by', 'day', '--json');
  expect(await json.exitCode).toBe(0);
  expect(json.stdout.json()).toMatchObject([{ key: { device: 'cpu' } }, { event: 'total', by: 'day', since: 5 }]);
  expect((asked[1]?.to ?? 0) - (asked[1]?.from ?? 0)).toBe(29 * DAY_MS);
});

test('a forecast comes with its error, and differences between the four numbers with their reasons', async () => {
  const app = new FakeApp();
  const range = { least: '1000000000000000000', most: '2000000000000000000' };
  app.handlers['earnings.forecast'] = async ({ days }) => ({
    ...{ from: 0, to: 1, days, reason: null },
    assets: [
      {
        asset: asset.asset,
        symbol: 'OPEN',
        decimals: 18,
        ...range,
        past: [{ from: 0, to: 1, ...range, came: '0' }],
        held: 0.75,
        missedBy: 0.2,
      },
    ],
  });
  app.handlers['earnings.reconcile'] = async () => ({
    at: 1,
    networks: [
      {
        ...{
          network: 'paid',
          asset: asset.asset,
          symbol: 'OPEN',
          decimals: 18,
          expected: '0',
          accepted: '30',
          promised: '20',
          paid: '5',
          channels: [],
        },
        divergences: [{ kind: 'short', amount: '10', channel: `0x${'ab'.repeat(32)}` }],
      },
    ],
  });
  const console = openConsole(() => Object.assign(new FakeApp(), { handlers: app.handlers }));
  const forecast = console.run('earnings', '--forecast', '7');
  expect(await forecast.exitCode).toBe(0);
  expect(forecast.stdout.text).toContain('In the 7 days from tomorrow on: between 1 and 2 OPEN, going by the weeks before.');
  expect(forecast.stdout.text).toContain('it held in 75% of 1 time; its middle missed by 20%');
  const reconciled = console.run('earnings', '--reconcile');
  expect(await reconciled.exitCode).toBe(0);
  expect(reconciled.stdout.text).toContain('  0.00000000000000001 OPEN missing in vouchers, by their own receipts (0xabababab…)');
});

test.each([
  [['earnings', '--by', 'week']],
  [['earnings', '--by', 'day', '--forecast', '7']],
  [['earnings', '--from', '2026-03-01']],
  [['earnings', '--forecast', '0']],
  [['ledger', 'export', '--format', 'json', '--tax']],
])('%j is wrong usage, and says what is right', async (argv) => {
  const command = openConsole(() => new FakeApp()).run(...argv);
  expect(await command.exitCode).toBe(2);
  expect(command.stderr.text).not.toBe('');
});
