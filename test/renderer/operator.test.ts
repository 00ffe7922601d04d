import { mkdtempSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serveOperatorPage } from '../../cli/operator/page.ts';
import type { OperatorPage } from '../../coordinator/operating/operate.ts';
import type { JobStatus } from '../../core/contract/network.ts';
import type { MemberRow, OperatorHandlers } from '../../core/contract/operating.ts';
import { ASSET, coordinatorStatus, memberRow } from '../fakes/coordinator-status.ts';
import { contrast } from './contrast.ts';
import { overflowing, textColours } from './look.ts';
import { BUILT_UI, launchBrowser } from './open-page.ts';

let browser: Browser;
let served: OperatorPage;
let page: Page;
const faults: string[] = [];
let changed: () => void = () => undefined;
const asked: [string, unknown][] = [];
const told = (call: string, input: unknown) => asked.push([call, input]);

const now = Date.UTC(2026, 10, 21, 18, 0);
let status = coordinatorStatus(now);
let workers: MemberRow[] = [
  memberRow(1, { open: 2, accepted: 1204, earned: [{ asset: ASSET, amount: '3250000000000000000' }] }),
  memberRow(2, { accepted: 40, audits: { valid: 12, bad: 2, undecided: 0 }, suspendedUntil: now + 86_400_000 }),
  memberRow(3, { revokedAt: now - 1000 }),
];
const job = (id: string, state: JobStatus['state']): JobStatus => ({
  ...{ id, network: 'studio-1a2b3c4d', kind: 'onnx.run', state, createdAt: now - 60_000, finishedAt: null, shards: 40, accepted: 12 },
  error: null,
});
const jobs = [job('job-000000000002', 'running'), job('job-000000000001', 'done')];
const handlers = {
  status: async () => status,
  workers: async () => ({ workers }),
  jobs: async () => ({ jobs }),
  appeals: async () => ({ appeals: [] }),
  invite: async () => ({
    link: `hearthlend://join?at=10.0.0.5%3A7422&secret=${'s'.repeat(43)}&sha256=${'a'.repeat(64)}`,
    expiresAt: now + 86_400_000,
  }),
  async revoke(input: { worker: string }) {
    told('revoke', input);
    workers = workers.map((each) => (each.worker === input.worker ? { ...each, revokedAt: now } : each));
    changed();
    return { revoked: true };
  },
  async reinstate(input: unknown) {
    told('reinstate', input);
    return { suspended: true };
  },
  async cancel(input: unknown) {
    told('cancel', input);
    return job('job-000000000002', 'cancelled');
  },
} as unknown as Omit<OperatorHandlers, 'open'>;

beforeAll(async () => {
  served = await serveOperatorPage({
    dir: mkdtempSync(join(tmpdir(), 'hearthlend-operator-')),
    uiFolder: BUILT_UI,
    handlers,
    onChange(listener) {
      changed = () => listener({} as never);
      return () => undefined;
    },
  });
  browser = await launchBrowser();
  page = await (await browser.newContext()).newPage();
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (line) => /Content Security Policy|Warning:|React/.test(line.text()) && faults.push(line.text()));
});
afterAll(async () => {
  await browser?.close();
  await served?.close();
});

const state = (path: string, headers: Record<string, string>) =>
  new Promise<number>((resolve, reject) => {
    const { port } = new URL(served.newCode().url);
    request({ host: '127.0.0.1', port, path, headers }, (response) => resolve(response.resume().statusCode ?? 0))
      .on('error', reject)
      .end();
  });

test('the operator’s page tells how the network stands and what it owes, live, and acts on machines and jobs; one address lets one browser in', async () => {
  const { url } = served.newCode();
  await page.goto(url);
  await page.getByRole('heading', { name: '3 machines are here, 2 jobs are under way' }).waitFor();
  await page.getByText('The escrow holds 1.5 OPEN too little for what is owed.').waitFor();
  const money = page.getByRole('region', { name: 'Money owed' });
  expect(await money.locator('.value').allTextContents()).toEqual(['4.00 OPEN', '2.50 OPEN', '1.50 OPEN', '12.00 OPEN']);
  await money.getByRole('img', { name: '62.5% of what is owed is covered' }).waitFor();

  await page.getByRole('button', { name: 'Invite a machine' }).click();
  await page.getByText('hearthlend://join').waitFor();
  await page.getByRole('button', { name: 'Lift' }).click();
  const first = page.getByRole('row').filter({ hasText: '1,204' });
  await first.getByRole('button', { name: 'Shut out' }).click();
  expect(asked).toEqual([['reinstate', { worker: workers[1]?.worker }]]);
  await first.getByRole('button', { name: /^Shut .* out for good$/ }).click();
  await expect.poll(() => asked.at(-1)).toEqual(['revoke', { worker: workers[0]?.worker }]);
  // What became of it comes by itself.
  await expect.poll(() => page.getByRole('row').filter({ hasText: 'shut out' }).count(), { timeout: 10_000 }).toBe(2);
  await page.getByRole('button', { name: 'Cancel job-000000000002' }).click();
  await expect.poll(() => asked.at(-1)).toEqual(['cancel', { job: 'job-000000000002' }]);
  status = { ...status, workers: { ...status.workers, connected: 1 } };
  changed();
  await page.getByRole('heading', { name: '1 machine is here' }).waitFor();

  for (const theme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
    for (const width of [1280, 420]) {
      await page.setViewportSize({ width, height: 900 });
      expect(await overflowing(page), `${theme} ${width}`).toEqual([]);
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/operator-${theme}-${width}.png`, fullPage: true });
    }
    for (const { text, colour, ground } of await textColours(page)) {
      expect(contrast(colour, ground), `${theme}: ${text}`).toBeGreaterThanOrEqual(4.5);
    }
  }
  // Coming back takes the tab's token; a second browser has nothing to come in with, and the code is spent.
  await page.reload();
  await page.getByRole('heading', { name: '1 machine is here' }).waitFor();
  const other = await (await browser.newContext()).newPage();
  await other.goto(url);
  await other.getByRole('heading', { name: 'This page isn’t let in' }).waitFor();
  expect(faults).toEqual([]);
});

test('it is served to our own host name alone, and nothing of the agent’s pages with it', async () => {
  const { host } = new URL(served.newCode().url);
  expect(await state('/', { host })).toBe(200);
  expect(await state('/', { host: 'rebound.example' })).toBe(403);
  expect(await state('/operator.html', { host })).toBe(404);
  expect(await state('/index.html', { host })).toBe(404);
});
