import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../renderer/open-page.ts';
import { descendants, hearthlend, run, temporaryFolder } from './program.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());

describe('the page of the running program', () => {
  it('shows practice as it is computed, pauses it for real, answers a prompt, and says when the program has gone', async () => {
    const dataDir = temporaryFolder('page');
    const agent = hearthlend(dataDir, 'start', '--headless');
    await agent.event('started');
    const { last } = await run(dataDir, 'open');
    const page: Page = await browser.newPage();
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    await page.goto(String(last.url));
    // The single-use code is out of the address at once.
    await page.waitForFunction(() => location.hash === '');
    await page.getByRole('heading', { level: 1, name: 'Working' }).waitFor();
    await page.getByText('Sealed: no network, no files, no keys').first().waitFor();
    await page
      .getByText(/tasks? checked today/)
      .first()
      .waitFor();
    await page.getByRole('row').filter({ hasText: 'accepted' }).first().waitFor();
    expect(await page.getByText('$').count()).toBe(0);

    expect(descendants(agent.process.pid ?? 0).length).toBeGreaterThan(0);
    await page.getByRole('button', { name: 'Pause', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'Paused' }).waitFor();
    await expect.poll(() => descendants(agent.process.pid ?? 0)).toEqual([]);
    await page.getByRole('button', { name: 'Resume', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: /Working|proven/ }).waitFor();

    await page.getByRole('link', { name: 'Use it' }).click();
    await page.getByLabel('Beginning').fill('lantern (noun):');
    await page.getByRole('button', { name: 'Ask' }).click();
    const answer = page.getByRole('region', { name: 'Answers' }).getByRole('article').first();
    await answer.getByText(/tokens? per second|tokens\/s/).waitFor();
    const words = (await answer.textContent()) ?? '';
    expect(words).toContain('lantern (noun):');
    expect(words).not.toMatch(/[?�]\s*a /);
    expect(words.replaceAll(/\s+/g, ' ').length).toBeGreaterThan(40);

    agent.process.kill('SIGTERM');
    expect(await agent.ended).toMatchObject({ code: 0 });
    await page.getByText('Not connected').first().waitFor();
    expect(faults).toEqual([]);
    await page.close();
  }, 90_000);
});
