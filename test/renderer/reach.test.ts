import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import { crowded, earning, practising, unsealed } from '../fakes/snapshots.ts';
import { contrast } from './contrast.ts';
import { overflowing, textColours } from './look.ts';
import { closePage, launchBrowser, type Opened, openPage, type View } from './open-page.ts';

let browser: Browser;
let opened: Opened;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
afterEach(async () => {
  expect(await closePage(opened)).toEqual([]);
});

const start = async (snapshot: Snapshot, view: View = {}): Promise<Opened> => {
  opened = await openPage(browser, snapshot, view);
  await opened.page.locator('.home').waitFor();
  return opened;
};

test.each([
  ['narrow', { width: 360, height: 740 }],
  ['wide, at 200% zoom', { width: 640, height: 400, scale: 2 }],
  ['in between', { width: 900, height: 700 }],
  ['wide', { width: 1280, height: 800 }],
])('nothing overflows when everything is as long as it may get: %s', async (_name, view) => {
  const { page } = await start(crowded(), view);
  await page.getByRole('button', { name: /^Show/ }).click();
  for (const details of await page.locator('details').all()) await details.evaluate((each) => each.setAttribute('open', ''));
  expect(await overflowing(page)).toEqual([]);
  await page.getByRole('link', { name: 'Use it', exact: true }).click();
  await page.locator('.use').waitFor();
  expect(await overflowing(page)).toEqual([]);
});

test.each([
  ['dark', practising()],
  ['light', practising()],
  ['dark', unsealed()],
  ['light', unsealed()],
  ['dark', earning()],
  ['light', earning()],
] as const)('every text on the page is at 4.5:1 or better against what is behind it: %s', async (theme, snapshot) => {
  const { page, agent } = await start(snapshot, { theme });
  agent.send({ event: 'current.text', data: { shardId: 'practice-129', attempt: 1, text: ' hook', tokens: 18 } });
  await page.locator('mark').waitFor();
  for (const details of await page.locator('details').all()) await details.evaluate((each) => each.setAttribute('open', ''));
  const texts = await textColours(page);
  expect(texts.length).toBeGreaterThan(40);
  expect(texts.filter(({ colour, ground }) => contrast(colour, ground) < 4.5)).toEqual([]);
  await agent.stop();
  await page.locator('.stale').waitFor();
  expect((await textColours(page)).filter(({ colour, ground }) => contrast(colour, ground) < 4.5)).toEqual([]);
});

test('the theme follows the system, and the choice is kept by the agent', async () => {
  const { page, agent } = await start(practising(), { theme: 'light' });
  const ground = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.emulateMedia({ colorScheme: 'dark' });
  const dark = await ground();
  expect(dark).not.toBe(light);
  const set = agent.called('settings.set');
  await page.getByRole('radio', { name: 'Light' }).check();
  expect((await set).input).toEqual({ theme: 'light' });
  expect(await ground()).toBe(light);
  await page.reload();
  await page.locator('.home').waitFor();
  expect(await page.getByRole('radio', { name: 'Light' }).isChecked()).toBe(true);
  expect(await ground()).toBe(light);
});

test('everything can be done from the keyboard, with the focus always to be seen', async () => {
  const { page, agent } = await start(practising());
  const stops: string[] = [];
  for (let press = 0; press < 40; press += 1) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const at = document.activeElement as HTMLElement;
      if (at === document.body) return null;
      const visible = (at.closest('label') ?? at) as HTMLElement;
      const name = at.getAttribute('aria-label') ?? visible.textContent;
      return { name, outlined: getComputedStyle(visible).outlineStyle !== 'none' };
    });
    if (stop === null) break;
    expect(stop.outlined, stop.name).toBe(true);
    stops.push(stop.name);
  }
  expect(stops.map((name) => name.replace(/\d\d:.*/, 'stretch'))).toEqual([
    ...[
      'Skip to the content',
      'Home',
      'Earnings',
      'When to work',
      'This PC',
      'Networks',
      'Use it',
      'Wallet',
      'Sealed: no network, no files, no keys. Show details',
      'Pause',
      'Pause for 1 hour',
    ],
    ...['stretch', 'Earnings in detail', 'What these mean', 'Details', 'Show 2 more', 'Auto', 'Copy the worker address'],
  ]);

  await page.reload();
  await page.locator('.home').waitFor();
  await press(page, 'Tab', 10);
  const paused = agent.called('work.pause');
  await page.keyboard.press('Enter');
  await paused;

  agent.overrides['prompt.ask'] = async () => ({ jobId: 'job-1' });
  agent.overrides['job.cancel'] = async () => ({
    ...{ id: 'job-1', network: 'local', kind: 'onnx.generate', state: 'cancelled', createdAt: 1, finishedAt: 2 },
    ...{ shards: 1, accepted: 0, error: null },
  });
  await press(page, 'Shift+Tab', 3);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Use it' }).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.type('lantern (noun):');
  const asked = agent.called('prompt.ask');
  await page.keyboard.press('Enter');
  await asked;
  await page.getByRole('button', { name: 'Stop' }).waitFor();
  await press(page, 'Tab', 6);
  const cancelled = agent.called('job.cancel');
  await page.keyboard.press('Enter');
  await cancelled;
});

test('the page has its landmarks, one first heading, names for all that can be pressed, and says its state politely', async () => {
  const { page } = await start(unsealed());
  for (const [route, content] of Object.entries({
    Home: '.home',
    Earnings: '.earnings',
    'When to work': '.when',
    'This PC': '.this-pc',
    Networks: '.networks',
    'Use it': '.use',
    Wallet: '.wallet',
  })) {
    await page.getByRole('link', { name: route, exact: true }).click();
    await page.locator(content).waitFor();
    expect(await page.title()).toBe(route === 'Home' ? 'Working · Hearthlend' : `${route} · Working · Hearthlend`);
    for (const landmark of ['banner', 'navigation', 'main', 'contentinfo'] as const)
      expect(await page.getByRole(landmark).count(), landmark).toBe(1);
    expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1);
    const { ids, nameless, lang } = await page.evaluate(() => ({
      lang: document.documentElement.lang,
      ids: [...document.querySelectorAll('[id]')].map((each) => each.id),
      nameless: [...document.querySelectorAll<HTMLElement>('button, a, input, [role="img"]')]
        .filter((each) => !(each.getAttribute('aria-label') ?? ((each as HTMLInputElement).labels?.[0] ?? each).textContent)?.trim())
        .map((each) => each.outerHTML),
    }));
    expect(new Set(ids).size).toBe(ids.length);
    expect(nameless).toEqual([]);
    expect(lang).toBe('en');
  }
  await page.getByRole('link', { name: 'Home', exact: true }).click();
  await page.getByRole('status').filter({ hasText: 'Working' }).waitFor();
  await page.getByRole('img', { name: 'The worker uses 78% of the CPU threads it may use' }).waitFor();
});

test('what moves takes 120 to 200 ms, and nothing moves where less motion is wished for', async () => {
  const durations = (page: Page): Promise<number[]> =>
    page.evaluate(() =>
      [...document.querySelectorAll('*')].flatMap((each) =>
        getComputedStyle(each)
          .transitionDuration.split(',')
          .map((text) => Number.parseFloat(text) * 1000),
      ),
    );
  const { page } = await start(practising(), { reducedMotion: 'no-preference' });
  const moving = (await durations(page)).filter((ms) => ms > 0);
  expect(moving.length).toBeGreaterThan(0);
  expect(moving.filter((ms) => ms < 120 || ms > 200)).toEqual([]);
  await page.emulateMedia({ reducedMotion: 'reduce' });
  expect((await durations(page)).filter((ms) => ms > 0)).toEqual([]);
});

async function press(page: Page, key: string, times: number): Promise<void> {
  for (let count = 0; count < times; count += 1) await page.keyboard.press(key);
}
