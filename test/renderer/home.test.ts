import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { MessageRef } from '../../core/contract/messages.ts';
import type { AgentState, Snapshot } from '../../core/contract/snapshot.ts';
import { currentShard, earning, practising, spans } from '../fakes/snapshots.ts';
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
