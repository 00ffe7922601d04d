import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { JobStatus } from '../../core/contract/network.ts';
import type { EventData } from '../../core/contract/rpc.ts';
import type { FakeAgent } from '../fakes/agent-server.ts';
import { practising } from '../fakes/snapshots.ts';
import { closePage, launchBrowser, type Opened, openPage } from './open-page.ts';

let browser: Browser;
let opened: Opened;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
beforeEach(async () => {
  opened = await openPage(browser, practising());
  let asked = 0;
  opened.agent.overrides['prompt.ask'] = async () => {
    asked += 1;
    return { jobId: `job-${asked}` };
  };
  await opened.page.getByRole('link', { name: 'Use it' }).click();
});
afterEach(async () => {
  expect(await closePage(opened)).toEqual([]);
});

const job = (fields: Partial<JobStatus>): JobStatus => ({
  id: 'job-1',
  network: 'local',
  kind: 'onnx.generate',
  state: 'running',
  createdAt: 1,
  finishedAt: null,
  shards: 1,
  accepted: 0,
  error: null,
  ...fields,
});
function say(agent: FakeAgent, fields: Partial<EventData<'prompt.text'>>): void {
  const data = { jobId: 'job-1', text: '', tokens: 0, done: false, tokensPerSecond: null, error: null, ...fields };
  agent.send({ event: 'prompt.text', data });
}
const answers = () => opened.page.getByRole('region', { name: 'Answers' }).getByRole('article');

async function ask(prompt: string): Promise<void> {
  await opened.page.getByLabel('Beginning').fill(prompt);
  await opened.page.getByRole('button', { name: 'Ask' }).click();
  await answers().first().getByRole('button', { name: 'Stop' }).waitFor();
}

test('an answer comes as it is made, while practice goes on, and ends with its speed', async () => {
  const { page, agent } = opened;
  const called = agent.called('prompt.ask');
  await ask('lantern (noun):');
  expect((await called).input).toMatchObject({ prompt: 'lantern (noun):', sampling: { method: 'greedy' } });
  await answers().getByText('waiting for its turn').waitFor();
  say(agent, { text: ' a portable', tokens: 2 });
  say(agent, { text: ' a portable light', tokens: 3 });
  await answers()
    .locator('mark', { hasText: /^light$/ })
    .waitFor();
  agent.change({ load: 0.2, practice: { acceptedToday: 129, shardsLeft: 71, msLeft: 1000 } });
  say(agent, { text: ' a portable light', tokens: 4, done: true, tokensPerSecond: 412.34 });
  await answers().getByText('4 tokens · 412 tokens/s').waitFor();
  expect(await answers().locator('mark').count()).toBe(0);
  await page.getByRole('link', { name: 'Home' }).click();
  await page.getByRole('heading', { name: 'Working' }).waitFor();
  await page.getByRole('link', { name: 'Use it' }).click();
  expect(await answers().locator('.generated').textContent()).toBe('lantern (noun): a portable light');
});

test('an answer that begins before the call comes back loses nothing', async () => {
  const { page, agent } = opened;
  agent.overrides['prompt.ask'] = async () => {
    say(agent, { jobId: 'job-7', text: ' at once', tokens: 2, done: true, tokensPerSecond: 9.87 });
    return { jobId: 'job-7' };
  };
  await page.getByLabel('Beginning').fill('quick (adjective):');
  await page.keyboard.press('Enter');
  await answers().getByText('2 tokens · 9.9 tokens/s').waitFor();
});

test('an example fills the box, and "a different answer each time" draws a seed', async () => {
  const { page, agent } = opened;
  await page.getByRole('button', { name: 'to dance (verb):' }).click();
  expect(await page.getByLabel('Beginning').inputValue()).toBe('to dance (verb):');
  await page.getByLabel('A different answer each time').check();
  const called = agent.called('prompt.ask');
  await page.getByRole('button', { name: 'Ask' }).click();
  expect((await called).input.sampling).toMatchObject({ method: 'sample', seed: expect.stringMatching(/^[0-9a-f]{16}$/) });
});

test('stopping cancels the job', async () => {
  const { agent } = opened;
  agent.overrides['job.cancel'] = async () => job({ state: 'cancelled', finishedAt: 2 });
  const cancelled = agent.called('job.cancel');
  await ask('lantern (noun):');
  say(agent, { text: ' a', tokens: 1 });
  await answers().getByRole('button', { name: 'Stop' }).click();
  expect((await cancelled).input).toEqual({ jobId: 'job-1' });
  await answers().getByText('stopped').waitFor();
  expect(await opened.page.getByRole('button', { name: 'Ask' }).getAttribute('aria-disabled')).toBe('false');
});

test('a failed answer says why in words, with what its job knows', async () => {
  const { page, agent } = opened;
  agent.overrides['job.show'] = async () => job({ state: 'failed', error: { code: 'WORKER_TIMEOUT', params: { limitMs: 120_000 } } });
  await ask('lantern (noun):');
  say(agent, { text: ' a', done: true, error: 'WORKER_TIMEOUT' });
  await answers().getByText('longer than its limit of 120,000 ms').waitFor();

  agent.overrides['prompt.ask'] = () => Promise.reject(new HearthlendError('WORKER_STOPPED'));
  await page.getByLabel('Beginning').fill('quiet (adjective):');
  await page.getByRole('button', { name: 'Ask' }).click();
  await answers().first().getByText('The worker was stopped').waitFor();
});

test('nothing is asked of an empty box', async () => {
  const { page, agent } = opened;
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.getByText('Write the beginning first.').waitFor();
  expect(await page.getByLabel('Beginning').evaluate((box) => box === document.activeElement)).toBe(true);
  expect(agent.calls.filter((call) => call.name === 'prompt.ask')).toEqual([]);
});

test('while paused it says that answers wait, and resumes from here', async () => {
  const { page, agent } = opened;
  agent.change({ state: { name: 'paused', reason: { key: 'reason.paused-by-you', params: {} }, since: 1, until: null } });
  const resumed = agent.called('work.resume');
  await page.getByRole('button', { name: 'Resume' }).click();
  await resumed;
});

test('an answer that ended while the connection was lost is not left open', async () => {
  const { page, agent } = opened;
  agent.overrides['job.show'] = async () => job({ state: 'done', accepted: 1 });
  await ask('lantern (noun):');
  say(agent, { text: ' a portable', tokens: 2 });
  await answers().locator('mark').waitFor();
  await agent.stop();
  await page.getByText(/Not connected/).waitFor();
  await agent.start();
  await answers().getByText('cut off: the connection was lost').waitFor();
});
