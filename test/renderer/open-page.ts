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
  /** Gives the tab back. */
  leave(): Promise<void>;
}

/** A fake agent, and a page of its own that it has let in. */
export async function openPage(browser: Browser, snapshot: Snapshot, view: View = {}): Promise<Opened> {
  const agent = new FakeAgent(BUILT_UI, snapshot);
  await agent.start();
  const opened = await newPage(browser, agent, view);
  await opened.page.goto(agent.address());
  return opened;
}

/** Tabs of each browser that have served a test, by their scale, which can't be changed: a new one costs several times as much as a page. */
const idle = new WeakMap<Browser, Map<number, Page[]>>();
/** Tabs whose clock was stopped stay that way. */
const spoiled = new WeakSet<Page>();

function idleTabs(browser: Browser, scale: number): Page[] {
  const tabs = idle.get(browser) ?? new Map<number, Page[]>();
  idle.set(browser, tabs);
  const ofScale = tabs.get(scale) ?? [];
  tabs.set(scale, ofScale);
  return ofScale;
}

/** A tab that has nothing of others: a new one, or one that was emptied. */
export async function newPage(browser: Browser, agent: FakeAgent, view: View = {}): Promise<Opened> {
  const { width = 1280, height = 800, theme = 'dark', reducedMotion = 'reduce', scale = 1 } = view;
  const page = idleTabs(browser, scale).pop() ?? (await newTab(browser, scale));
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: theme, reducedMotion });
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (line) => {
    if (/Content Security Policy|Warning:|React/.test(line.text())) faults.push(line.text());
  });
  const leave = () => leaveTab(page, idleTabs(browser, scale));
  return { agent, page, faults, leave };
}

async function newTab(browser: Browser, scale: number): Promise<Page> {
  const context = await browser.newContext({ deviceScaleFactor: scale });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const install = page.clock.install.bind(page.clock);
  page.clock.install = (options) => {
    spoiled.add(page);
    return install(options);
  };
  return page;
}

/** Leaves nothing in a tab for whoever gets it next; closes it where that can't be. */
async function leaveTab(page: Page, tabs: Page[]): Promise<void> {
  const context = page.context();
  try {
    if (spoiled.has(page) || page.isClosed() || context.pages().length > 1) throw new Error('it is not as it was');
    await page.mouse.move(0, 0);
    await page.evaluate(() => {
      sessionStorage.clear();
      localStorage.clear();
    });
    await page.goto('about:blank');
    page.removeAllListeners();
    await context.clearPermissions();
    tabs.push(page);
  } catch {
    await context.close();
  }
}

/** Leaves the page and stops its agent; gives what went wrong in it. */
export async function closePage({ agent, leave, faults }: Opened): Promise<string[]> {
  await leave();
  await agent.stop();
  return faults;
}
