import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import { FakeAgent } from '../fakes/agent-server.ts';

export const BUILT_UI = join(import.meta.dirname, '../../dist/ui');

/** The installed Chromium. Its own sandbox needs an ordinary user. */
export function launchBrowser(): Promise<Browser> {
  const executablePath = process.env.CHROME_PATH ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}

export interface View {
  width?: number;
  height?: number;
  theme?: 'dark' | 'light';
  reducedMotion?: 'reduce' | 'no-preference';
  scale?: number;
}

export interface Opened {
  agent: FakeAgent;
  page: Page;
  /** What went wrong in the page: uncaught errors, and what the content security policy stopped. */
  faults: string[];
}

/** A fake agent, and a page of its own that it has let in. */
export async function openPage(browser: Browser, snapshot: Snapshot, view: View = {}): Promise<Opened> {
  const agent = new FakeAgent(BUILT_UI, snapshot);
  await agent.start();
  const opened = await newPage(browser, agent, view);
  await opened.page.goto(agent.address());
  return opened;
}

/** A tab that shares nothing with others. */
export async function newPage(browser: Browser, agent: FakeAgent, view: View = {}): Promise<Opened> {
  const { width = 1280, height = 800, theme = 'dark', reducedMotion = 'reduce', scale = 1 } = view;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion, deviceScaleFactor: scale });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (line) => {
    if (/Content Security Policy|Warning:|React/.test(line.text())) faults.push(line.text());
  });
  return { agent, page, faults };
}

/** Closes the page and its agent; gives what went wrong in it. */
export async function closePage({ agent, page, faults }: Opened): Promise<string[]> {
  await page.context().close();
  await agent.stop();
  return faults;
}
