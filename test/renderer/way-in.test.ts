import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import { practising } from '../fakes/snapshots.ts';
import { closePage, launchBrowser, newPage, type Opened, openPage } from './open-page.ts';

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
  return opened;
};
const heading = (name: string) => opened.page.getByRole('heading', { level: 1, name });

test('the code lets the page in and is gone from the address; the token lives in the tab alone', async () => {
  const { page, agent } = await start();
  await heading('Working').waitFor();
  expect(page.url()).toBe(`${agent.origin}/`);
  expect(agent.knocks).toEqual([{ by: 'code', admitted: true }]);
  expect(await page.evaluate(() => [Object.values(sessionStorage).length, localStorage.length, document.cookie])).toEqual([1, 0, '']);
});

test('a page loaded anew comes back by its token', async () => {
  const { page, agent } = await start();
  await heading('Working').waitFor();
  await page.reload();
  await heading('Working').waitFor();
  expect(agent.knocks.at(-1)).toEqual({ by: 'token', admitted: true });
});

test('a lost connection is said at once, nothing burns meanwhile, and the page comes back by itself with what is new', async () => {
  const { page, agent } = await start();
  await heading('Working').waitFor();
  await agent.stop();
  await heading('Not connected').waitFor();
  await page.getByRole('img', { name: 'Whether the worker computes is unknown' }).waitFor();
  expect(await page.locator('.ring .load').count()).toBe(0);
  expect(await page.getByRole('button', { name: 'Pause', exact: true }).count()).toBe(0);
  await page.getByText(/Trying again/).waitFor();
  agent.snapshot = practising({ state: { name: 'paused', reason: { key: 'reason.paused-by-you', params: {} }, since: 1, until: null } });
  await agent.start();
  await heading('Paused').waitFor();
  expect(agent.knocks.at(-1)).toEqual({ by: 'token', admitted: true });
});

test('"Try now" does not wait for the pause to end', async () => {
  const { page, agent } = await start();
  await heading('Working').waitFor();
  // Stopped clocks never end a pause.
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + 60_000);
  await agent.stop();
  await page.getByRole('button', { name: 'Try now' }).waitFor();
  await agent.start();
  await page.getByRole('button', { name: 'Try now' }).click();
  await heading('Working').waitFor();
});

test('a page whose session the agent has forgotten says how to get back in, and asks no more', async () => {
  const { page, agent } = await start();
  await heading('Working').waitFor();
  agent.forgetSessions();
  await agent.stop();
  await agent.start();
  await heading("This page isn't let in").waitFor();
  await page.getByText('npx hearthlend open').waitFor();
  expect(await page.getByRole('navigation').count()).toBe(0);
  expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
  expect(agent.knocks.filter((knock) => knock.by === 'token')).toEqual([{ by: 'token', admitted: false }]);
});

test('a used code is refused, and a fresh link pasted into the same tab lets it in', async () => {
  const { agent, page: first } = await start();
  await heading('Working').waitFor();
  const used = `${agent.origin}/#code=code-1`;
  const other = await newPage(browser, agent);
  await other.page.goto(used);
  await other.page.getByRole('heading', { name: "This page isn't let in" }).waitFor();
  await other.page.evaluate((hash) => {
    location.hash = hash;
  }, new URL(agent.address()).hash);
  await other.page.getByRole('heading', { name: 'Working' }).waitFor();
  expect(other.page.url()).toBe(`${agent.origin}/`);
  expect(other.faults).toEqual([]);
  await other.leave();
  expect(await first.title()).toBe('Working · Hearthlend');
});

test('an address without a code says how to get in', async () => {
  const { agent } = await start();
  const other = await newPage(browser, agent);
  await other.page.goto(agent.origin);
  await other.page.getByRole('heading', { name: "This page isn't let in" }).waitFor();
  await other.leave();
});

test('an agent that cannot give its snapshot is named with the error, and can be asked again', async () => {
  const { page, agent } = await start();
  await heading('Working').waitFor();
  agent.overrides['app.watch'] = () => Promise.reject(new HearthlendError('LEDGER_BROKEN', { detail: 'entry 12 was changed.' }));
  await page.reload();
  await heading("This page can't show what Hearthlend does").waitFor();
  await page.getByText('The ledger is not whole: entry 12 was changed.').waitFor();
  agent.overrides = {};
  await page.getByRole('button', { name: 'Try now' }).click();
  await heading('Working').waitFor();
});
