import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type MessageRef, ref } from '../../core/contract/messages.ts';
import { writeLaunchFile } from '../../core/loopback/launch-file.ts';
import { findBrowsers, isConfined } from './browsers.ts';

/** What decides whether a window can be opened here. */
export interface Surroundings {
  platform: NodeJS.Platform;
  env: NodeJS.ProcessEnv;
  /** User id; undefined on Windows. */
  uid: number | undefined;
}

/** `pid`: the browser's, which has a process group of its own; undefined where it handed the page to one that ran already. */
export type WindowOutcome = { opened: true; browser: string; pid: number | undefined } | { opened: false; reason: MessageRef };

/** How long a browser may take until our page has come in. */
const COMES_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 100;

/** Why no window can be opened here, before any browser is looked for; null where nothing speaks against it. */
export function windowObstacle({ platform, env, uid }: Surroundings): MessageRef | null {
  const desktopSystem = platform === 'darwin' || platform === 'win32';
  if (desktopSystem) return env.SSH_CONNECTION === undefined ? null : ref('cli.window.remote');
  if (!env.DISPLAY && !env.WAYLAND_DISPLAY) return ref('cli.window.no-display');
  return uid === 0 ? ref('cli.window.root') : null;
}

/**
 * Opens the page in an installed browser's app window, with a profile of its own inside the data folder. Settled once the page has used its
 * code (the agent then removes the launch file), or it is clear that none will come. Never throws for a browser that fails: the reason says it.
 */
export async function openWindow(
  around: Surroundings,
  dataDir: string,
  newCode: () => Promise<{ url: string; code: string }>,
): Promise<WindowOutcome> {
  const obstacle = windowObstacle(around);
  if (obstacle !== null) return { opened: false, reason: obstacle };
  const installed = findBrowsers(around.platform, around.env);
  const browser = installed.find((path) => !isConfined(path));
  if (browser === undefined) {
    return { opened: false, reason: ref(installed.length === 0 ? 'cli.window.no-browser' : 'cli.window.confined') };
  }
  const profile = join(dataDir, 'window');
  await mkdir(profile, { recursive: true, mode: 0o700 });
  const { url, code } = await newCode();
  const started = await startBrowser(browser, profile, await writeLaunchFile(dataDir, url, code));
  const name = basename(browser);
  if ('failure' in started) return { opened: false, reason: ref('cli.window.failed', { browser: name, detail: started.failure }) };
  return { opened: true, browser: name, pid: started.pid };
}

/** Once the page has come in, else with why it didn't. */
function startBrowser(browser: string, profile: string, page: string): Promise<{ pid: number | undefined } | { failure: string }> {
  const args = [
    `--app=${pathToFileURL(page)}`,
    `--user-data-dir=${profile}`,
    '--window-size=1180,820',
    '--no-first-run',
    '--no-default-browser-check',
    '--disable-sync',
    '--disable-background-networking',
    '--disable-component-update',
  ];
  return new Promise((resolve) => {
    const child = spawn(browser, args, { detached: true, stdio: 'ignore' });
    child.unref();
    const settle = (failure: string | null) => {
      clearInterval(look);
      clearTimeout(deadline);
      const pid = child.exitCode === null ? child.pid : undefined;
      resolve(failure === null ? { pid } : { failure });
    };
    const look = setInterval(() => {
      if (!existsSync(page)) settle(null);
    }, LOOK_EVERY_MS);
    const deadline = setTimeout(() => settle('timeout'), COMES_WITHIN_MS);
    child.once('error', (error) => settle(error.message));
    // 0: it handed the page to a window that is open already.
    child.once('exit', (exitCode, signal) => {
      if (exitCode !== 0) settle(String(exitCode ?? signal));
    });
  });
}
