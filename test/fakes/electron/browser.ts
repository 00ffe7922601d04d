import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';

let context: Promise<BrowserContext> | undefined;
const closers: Array<() => Promise<void>> = [];

/** The Chromium behind all windows of this process, reachable for the test through the port in its profile's DevToolsActivePort. */
export function openBrowser(userData: string): Promise<BrowserContext> {
  context ??= chromium.launchPersistentContext(join(userData, 'stand-in', 'profile'), {
    executablePath: process.env.CHROME_PATH ?? '/usr/bin/chromium',
    args: ['--remote-debugging-port=0', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
    viewport: null,
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  return context;
}

/** Something to be done before the browser goes. */
export function beforeClose(closer: () => Promise<void>): void {
  closers.push(closer);
}

export async function closeBrowser(): Promise<void> {
  for (const closer of closers) await closer().catch(() => undefined);
  await (await context)?.close();
}
