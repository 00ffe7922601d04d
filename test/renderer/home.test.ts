import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { AssetSums, EarningsKey, EarningsQuery, EarningsReport, EarningsRow } from '../../core/contract/earnings.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { MessageRef } from '../../core/contract/messages.ts';
import type { AgentState, Snapshot } from '../../core/contract/snapshot.ts';
import { emptySums } from '../fakes/earnings.ts';
import { currentShard, earning, practising, spans } from '../fakes/snapshots.ts';
import { contrast } from './contrast.ts';
import { textColours } from './look.ts';
import { closePage, launchBrowser, type Opened, openPage } from './open-page.ts';

let browser: Browser;
let opened: Opened;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
afterEach(async () => {
  expect(await closePage(opened)).toEqual([]);
});

const start = async (snapshot: Snapshot = practising()): Promise<Opened> => {
  opened = await openPage(browser, snapshot);
  await opened.page.locator('.home').waitFor();
  return opened;
};
const state = (name: AgentState['name'], key: MessageRef['key'], until: number | null = null): AgentState => ({
  name,
  reason: { key, params: {} },
  since: Date.now(),
  until,
});

test('pause, pause for an hour and resume call the agent, and its new state is said', async () => {
  const { page, agent } = await start();
  const paused = agent.called('work.pause');
  await page.getByRole('button', { name: 'Pause', exact: true }).click();
  expect((await paused).input).toEqual({ forMs: null });
  agent.change({ state: state('paused', 'reason.paused-by-you'), current: null, load: null });
  await page.getByRole('heading', { level: 1, name: 'Paused' }).waitFor();
  expect(await page.title()).toBe('Paused · Hearthlend');
  expect(await page.getByRole('button', { name: 'Resume', exact: true }).evaluate((button) => button === document.activeElement)).toBe(
    true,
  );
  await page.getByLabel('The worker computes nothing').waitFor();

  const resumed = agent.called('work.resume');
  await page.getByRole('button', { name: 'Resume', exact: true }).click();
  await resumed;
  agent.change({ state: state('working', 'reason.practising') });
  const forAnHour = agent.called('work.pause');
  await page.getByRole('button', { name: 'Pause for 1 hour' }).click();
  expect((await forAnHour).input).toEqual({ forMs: 3_600_000 });
  agent.change({ state: state('paused', 'reason.paused-until', new Date(2030, 0, 1, 18, 30).getTime()) });
  await page.getByText('Resumes by itself at 18:30').waitFor();
});

test('what a rule keeps back can be started all the same, for an hour', async () => {
  const { page, agent } = await start();
  agent.change({ state: state('paused', 'policy.battery'), current: null, load: null });
  const started = agent.called('work.start');
  await page.getByRole('button', { name: 'Work anyway for 1 hour' }).click();
  expect((await started).input).toEqual({ forMs: 3_600_000 });
  expect(await page.getByRole('button', { name: 'Resume', exact: true }).count()).toBe(0);
});

test('a press that fails says what happened and what to do', async () => {
  const { page, agent } = await start();
  agent.overrides['work.pause'] = () => Promise.reject(new HearthlendError('DISK_FULL', { path: '/data' }));
  await page.getByRole('button', { name: 'Pause', exact: true }).click();
  const alert = page.getByRole('alert');
  await alert.getByText('The disk with /data is full.').waitFor();
  await alert.getByText('Free some space').waitFor();
  await alert.getByText('DISK_FULL').waitFor();
  await alert.getByRole('button', { name: 'Close' }).click();
  await alert.waitFor({ state: 'detached' });
});

test('a proven machine can keep practising, or be used', async () => {
  const { page, agent } = await start(practising({ state: state('proven', 'reason.proven'), current: null, load: null }));
  await page.getByRole('heading', { level: 1, name: 'Your machine is proven' }).waitFor();
  const extended = agent.called('practice.extend');
  await page.getByRole('button', { name: 'Keep practising' }).click();
  expect((await extended).input.shards).toBeGreaterThan(0);
  await page.getByRole('link', { name: 'Use it yourself' }).click();
  await page.getByRole('heading', { level: 1, name: 'Use it' }).waitFor();
});

test('text appears piece by piece as it is made, the newest piece marked', async () => {
  const { page, agent } = await start();
  const card = page.getByRole('region', { name: 'Computing now' });
  expect(await card.locator('b').textContent()).toBe('lantern (noun):');
  agent.send({ event: 'current.text', data: { shardId: 'practice-129', attempt: 1, text: ' hook', tokens: 18 } });
  await card.locator('mark', { hasText: /^hook$/ }).waitFor();
  agent.send({ event: 'current.text', data: { shardId: 'practice-129', attempt: 1, text: ' or bracket', tokens: 20 } });
  await card.locator('mark', { hasText: /^or bracket$/ }).waitFor();
  expect(await card.locator('.generated').textContent()).toMatch(/hung from a hook or bracket$/);

  // A new text waits until the one before could be read.
  await page.clock.install();
  await page.clock.fastForward(2000);
  agent.change({ current: currentShard({ kind: 'onnx.run', shardId: 'practice-130', prompt: null, text: null, maxNewTokens: null }) });
  await card.getByText('scoring a batch of definitions').waitFor();
  await page.clock.fastForward(2000);
  agent.change({ current: currentShard({ shardId: 'open-1', origin: 'network', network: 'open', prompt: null, text: null }) });
  await card.getByText('A task for open.').waitFor();
  expect(await card.locator('.generated').count()).toBe(0);
});

test('there are always four numbers; practice is called practice and stays out of the hero beside money', async () => {
  const { page, agent } = await start(practising({ earnings: [] }));
  const numbers = page.getByRole('region', { name: 'The four numbers' });
  expect(await numbers.locator('.value').allTextContents()).toEqual(['≈ 0', '0', '0', '0']);
  agent.change({ earnings: practising().earnings });
  await numbers.getByText('12,345').waitFor();
  expect(await numbers.locator('.four').textContent()).not.toMatch(/[$€£¥₿]|OPEN/);
  expect(await numbers.locator('.tag').allTextContents()).toEqual(Array(4).fill('practice'));
  expect(await page.locator('.ring').textContent()).toBe('128 tasks checked todayCPU 78%');
  agent.change({ earnings: earning().earnings });
  await page.locator('.ring').getByText('+48.20').waitFor();
  expect(await numbers.locator('.value').allTextContents()).toEqual([
    ...['≈ 48.20', '1,204.50', '1,190.00', '900.00'],
    ...['≈ 38', '12,345', '0', '0'],
  ]);
});

test('the day says each stretch and its reason on hover and on focus, and the arrow keys walk it', async () => {
  const { page } = await start();
  const day = page.getByRole('region', { name: 'Today' });
  await day.getByText('8 h worked · stepped aside twice for 3 h 48 min').waitFor();
  const stretches = day.getByRole('button');
  expect(await stretches.count()).toBe(spans().length);
  await stretches.nth(1).hover();
  await day.getByText('07:00 to 09:30: stepped aside for 2 h 30 min. You paused me.').waitFor();
  await page.mouse.move(0, 0);
  await stretches.first().focus();
  await day.getByText("00:30 to 07:00: worked for 6 h 30 min. I'm practising").waitFor();
  await page.keyboard.press('End');
  await day.getByText('11:12 to 12:30: stepped aside').waitFor();
  await page.keyboard.press('ArrowLeft');
  await day.getByText('09:30 to 11:00: worked for 1 h 30 min').waitFor();
  expect(await stretches.evaluateAll((all) => all.map((each) => (each as HTMLElement).tabIndex))).toEqual([-1, -1, 0, -1]);
});

test('the list of tasks says what became of each, and shows the rest on demand', async () => {
  const { page } = await start();
  const rows = page.getByRole('region', { name: 'Last tasks' }).locator('tbody tr');
  expect(await rows.allInnerTexts()).toEqual([
    '128 text\taccepted, audited\t+38 practice',
    '127 scores\taccepted\t+1 practice',
    '3ac81e your text\taccepted\tyours',
    '126 text\thanded back: paused\t–',
    '125 text\thanded in\t–',
  ]);
  await page.getByRole('button', { name: 'Show 2 more' }).click();
  expect(await rows.count()).toBe(7);
});

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const OPEN = { asset: 'eip155:1612/slip44:60', symbol: 'OPEN', decimals: 18 };
const whole = (amount: number) => `${amount}${'0'.repeat(18)}`;
const moneyOf = (accepted: number, change: Partial<AssetSums> = {}): AssetSums => ({
  ...{ ...OPEN, expected: '0', accepted: whole(accepted), promised: whole(accepted), paid: '0', acceptedShards: accepted, fiat: null },
  ...change,
});
const practiceOf = (credits: number): AssetSums => ({
  ...moneyOf(0, { asset: 'hearth:local/credit:practice', symbol: 'practice', decimals: 0, promised: '0' }),
  ...{ accepted: String(credits), acceptedShards: credits },
});

/** What an agent answers that has earned on some of the last days, and practised. */
function report(query: EarningsQuery): EarningsReport {
  const row = (key: EarningsKey, accepted: number): EarningsRow => ({
    ...emptySums(),
    key,
    money: accepted === 0 ? [] : [moneyOf(accepted)],
  });
  const total = { ...emptySums(), money: [moneyOf(60)], practice: [practiceOf(200)] };
  total.energy = { measuredWh: 1500, estimatedWh: 20, knownShards: 50, acceptedShards: 60 };
  total.net = { currency: 'EUR', electricity: 0.456, net: null, missing: 'price' };
  const days = [0, 10, 0, 20, 30].map((accepted, index) => row({ by: 'day', from: index * DAY, to: (index + 1) * DAY }, accepted));
  const models = [
    row({ by: 'model', model: 'ab'.repeat(32), name: 'hf:someone/a-model-with-a-very-long-name-that-has-no-place-to-break' }, 40),
    row({ by: 'model', model: 'cd'.repeat(32), name: null }, 20),
  ];
  const hidden = models.map((each) => ({ ...each, money: each.money.map((sums) => ({ ...sums, promised: null, paid: null })) }));
  return { query, rows: query.by === 'model' ? hidden : days, total, since: 0 };
}

test('earnings: a picture with its table, a forecast beside its error, every difference, prices that are set and unset, exports', async () => {
  const { page, agent } = await start(earning());
  agent.overrides['earnings.report'] = async (query) => report(query);
  agent.overrides['earnings.forecast'] = async () => ({
    ...{ from: 0, to: 7 * DAY, days: 7, reason: null },
    assets: [
      {
        ...{ ...OPEN, least: whole(20), most: whole(55), held: 0.75, missedBy: 0.12 },
        past: [{ from: 0, to: 7 * DAY, least: whole(10), most: whole(40), came: whole(60) }],
      },
    ],
  });
  agent.overrides['earnings.reconcile'] = async () => ({
    at: 1,
    networks: [
      {
        ...{ network: 'open', ...OPEN, expected: '0', accepted: whole(60), promised: whole(50), paid: whole(45), channels: [] },
        divergences: [
          { kind: 'not-vouched', amount: whole(10), channel: null },
          { kind: 'not-claimed', amount: whole(5), channel: null },
        ],
      },
    ],
  });
  agent.overrides['earnings.prices'] = async () =>
    agent.settings.prices.map(({ asset, currency, source }) => ({
      ...{ asset, symbol: 'OPEN', currency, source, problem: null },
      latest: source.kind === 'manual' ? { price: source.price, at: source.at } : null,
    }));
  agent.overrides['earnings.save'] = async ({ what }) => ({ path: `/data/exports/hearthlend-${what}.csv`, rows: 3 });
  await page.getByRole('link', { name: 'Earnings in detail' }).click();
  await page.getByRole('heading', { level: 1, name: '60.00 OPEN in 7 days' }).waitFor();
  await page.getByText('which took €0.46').waitFor();

  // The picture, from the keyboard: one stop, then the arrows.
  const bars = page.getByRole('group', { name: 'OPEN accepted, day by day' });
  await bars.getByRole('button').last().focus();
  await page.keyboard.press('ArrowLeft');
  await page.locator('figcaption').getByText('20.00 OPEN, 20 tasks').waitFor();
  expect(await bars.locator('[tabindex="0"]').count()).toBe(1);
  const heights = await bars.locator('i').evaluateAll((all) => all.map((each) => each.style.height));
  expect(heights.map((height) => Math.round(Number.parseFloat(height)))).toEqual([0, 33, 0, 67, 100]);

  const money = page.getByRole('region', { name: 'Accepted', exact: true });
  await money.getByText('As a table').click();
  expect(await money.getByRole('row').count()).toBe(4);
  await page.getByLabel('Model', { exact: true }).check();
  await money.getByRole('row', { name: /^model cdcdcdcdcdcd 20\.00 OPEN 20/ }).waitFor();
  // A voucher covers receipts of all models: there is no such column.
  expect(await money.getByRole('columnheader').allTextContents()).toEqual([
    'Model',
    'Accepted',
    'Tasks',
    'Expected',
    'Energy',
    'Electricity',
  ]);
  await page.getByText('Credits are no money').waitFor();
  await page.getByText('75 % of the time, and its middle was off by 12 %').waitFor();
  await page.getByText('≈ 20.00 OPEN to 55.00 OPEN').waitFor();
  await page.getByText('10 OPEN no voucher covers it').waitFor();

  const prices = page.getByRole('region', { name: 'Prices' });
  await prices.getByText('Set a price').click();
  await prices.getByLabel('One whole token costs').fill('much');
  await page.keyboard.press('Enter');
  await prices.getByRole('alert').waitFor();
  await prices.getByLabel('One whole token costs').fill('0,25');
  await page.keyboard.press('Enter');
  await prices.getByText('1 OPEN = 0.25 EUR').waitFor();
  expect(agent.settings.prices).toMatchObject([{ asset: OPEN.asset, currency: 'EUR', source: { kind: 'manual', price: '0.25' } }]);
  await prices.getByRole('button', { name: 'Remove the price of OPEN' }).click();
  await expect.poll(() => agent.settings.prices).toEqual([]);
  await page.getByRole('button', { name: 'For the tax office' }).click();
  await page.getByText('/data/exports/hearthlend-tax.csv').waitFor();

  for (const details of await page.locator('details').all()) await details.evaluate((each) => each.setAttribute('open', ''));
  for (const [width, theme] of [
    [360, 'light'],
    [1280, 'dark'],
  ] as const) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: theme });
    const reaches = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(reaches).toBe(0);
    expect((await textColours(page)).filter(({ colour, ground }) => contrast(colour, ground) < 4.5)).toEqual([]);
  }
});

test('earnings without paid work say the next step, show practice apart, and say what could not be told', async () => {
  const { page, agent } = await start();
  await page.getByRole('link', { name: 'Earnings', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'No paid work yet' }).waitFor();
  await page.getByRole('link', { name: 'Look at the networks' }).waitFor();
  expect(await page.getByText('For the tax office').count()).toBe(0);
  agent.overrides['earnings.report'] = async (query) => ({ ...report(query), total: { ...emptySums(), practice: [practiceOf(200)] } });
  await page.getByLabel('30 days').check();
  await page.getByText('So far your PC has practised').waitFor();
  agent.overrides['earnings.report'] = () => Promise.reject(new HearthlendError('EARNINGS_RANGE', { most: 1000 }));
  await page.getByLabel('A year').check();
  await page.getByRole('alert').getByText('EARNINGS_RANGE').waitFor();
});
