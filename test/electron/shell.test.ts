import { afterAll, afterEach, expect, test } from 'vitest';
import { endAll, quit, startDesktop } from './desktop.ts';

afterEach(endAll);
afterAll(endAll);

test('the window shows the agent over the one channel', async () => {
  const desktop = await startDesktop();
  await desktop.announced('started');
  await desktop.announced('ready');
  const page = await desktop.page();
  await page.getByRole('heading', { level: 1, name: 'Working' }).waitFor();
  await page.screenshot({ path: '/tmp/desktop.png' });
  expect(await quit(desktop)).toBe(0);
}, 60_000);
