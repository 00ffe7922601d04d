import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { _electron, type Browser, chromium, type ElectronApplication, type Page } from 'playwright-core';
import { vi } from 'vitest';
import type { Announcement } from '../../electron/announce.ts';

export const ROOT = join(import.meta.dirname, '../..');
export const NODE = join(ROOT, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node');
type StandIn = typeof import('../fakes/electron/electron.ts');

/** The real Electron, where it was fetched and can show something; else the stand-in. */
function findRuntime(): { path: string } | { path: undefined; why: string } {
  const folder = dirname(createRequire(import.meta.url).resolve('electron/package.json'));
  const name = join(folder, 'path.txt');
  const path = existsSync(name) ? join(folder, 'dist', readFileSync(name, 'utf8')) : undefined;
  if (path === undefined || !existsSync(path)) return { path: undefined, why: 'its runtime is not installed' };
  if (process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY)
    return { path: undefined, why: 'there is no display' };
  if (process.getuid?.() === 0) return { path: undefined, why: 'it refuses to run as ROOT' };
  return { path };
}

export const runtime = findRuntime();

/** A desktop app under way, in a process of its own, with a data folder of its own. */
export interface Desktop {
  dataDir: string;
  /** Where the session's list of programs to start is, on Linux. */
  configDir: string;
  /** Resolves with the announcement, also one of the past. */
  announced<E extends Announcement['event']>(event: E): Promise<Extract<Announcement, { event: E }>>;
  /** Runs a function in the main process, with Electron's exports. Nothing from outside it is visible there. */
  evaluate<R, A>(act: (electron: StandIn, argument: A) => R | Promise<R>, argument: A): Promise<R>;
  /** The page of the window that is open. */
  page(): Promise<Page>;
  /** The exit code. */
  ended: Promise<number | null>;
  stderr(): string;
  process: ChildProcess;
}

const running = new Set<Desktop>();
const browsers = new Set<Browser>();
const folders = new Set<string>();

/** Ends what a test left. */
export async function endAll(): Promise<void> {
  for (const desktop of running)
    if (desktop.process.exitCode === null && desktop.process.signalCode === null) desktop.process.kill('SIGKILL');
  for (const desktop of running) await desktop.ended;
  running.clear();
  for (const browser of browsers) await browser.close().catch(() => undefined);
  browsers.clear();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  folders.clear();
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-desktop-'));
  folders.add(folder);
  return folder;
}

export const UNDISTURBED = { programs: { pause: false }, fullScreen: { pause: false }, otherGpu: { pause: false } };

interface DesktopOptions {
  args?: string[];
  env?: Record<string, string>;
  dataDir?: string;
  /** Practice shards that it does in a data folder without settings; as many as it likes take a whole core for as long as the test lasts. */
  practice?: number;
  /** For a start that ends before Electron is ready: nothing is asked of its process or page. */
  short?: boolean;
}

export async function startDesktop(options: DesktopOptions = {}): Promise<Desktop> {
  const { args = [], env = {}, dataDir = temporaryFolder(), practice = 2, short = false } = options;
  const configDir = temporaryFolder();
  const settings = join(dataDir, 'settings.json');
  // What else runs on this machine, other tests' games among it, is not to pause this one.
  const own = { rules: UNDISTURBED, practice: { shardsPerDay: practice, minutesPerDay: 10 } };
  if (!short && lstatSync(dataDir).isDirectory() && !existsSync(settings)) writeFileSync(settings, JSON.stringify(own));
  const whole = { ...process.env, XDG_CONFIG_HOME: configDir, HEARTHLEND_TERMINAL: '1', ...env } as Record<string, string>;
  // Only the app's own processes are measured, not vitest's: see test/bench/electron-lines.mjs.
  if (process.env.HEARTHLEND_COVERAGE !== undefined) whole.NODE_V8_COVERAGE = process.env.HEARTHLEND_COVERAGE;
  const all = [`--data-dir=${dataDir}`, ...args];
  const desktop = runtime.path === undefined ? startStandIn(all, whole, dataDir) : await startReal(runtime.path, all, whole, short);
  const { process: child } = desktop;
  const announcements: Announcement[] = [];
  let stdout = '';
  let stderr = '';
  let heard: () => void = () => undefined;
  child.stdout?.on('data', (bytes: Buffer) => {
    stdout += bytes.toString();
    for (let end = stdout.indexOf('\n'); end >= 0; end = stdout.indexOf('\n')) {
      const line = stdout.slice(0, end);
      stdout = stdout.slice(end + 1);
      if (line.startsWith('{')) announcements.push(JSON.parse(line) as Announcement);
    }
    heard();
  });
  child.stderr?.on('data', (bytes: Buffer) => {
    stderr += bytes.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const made: Desktop = {
    ...desktop,
    dataDir,
    configDir,
    ended,
    stderr: () => stderr,
    announced: (event) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = announcements.find((each) => each.event === event);
          if (found !== undefined) resolve(found as never);
        };
        heard = look;
        void ended.then((code) =>
          reject(new Error(`it ended with ${code} before "${event}": ${JSON.stringify(announcements)}\n${stderr}`)),
        );
        look();
      }),
  };
  running.add(made);
  return made;
}

type Started = Pick<Desktop, 'evaluate' | 'page' | 'process'>;

function startStandIn(args: string[], env: Record<string, string>, dataDir: string): Started {
  const register = join(ROOT, 'test/fakes/electron/register.mjs');
  const main = join(ROOT, 'dist/electron/main.mjs');
  const child = spawn(NODE, ['--disable-warning=ExperimentalWarning', '--import', register, main, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let nextId = 1;
  const gone = once(child, 'exit');
  let browser: Browser | undefined;
  return {
    process: child,
    evaluate: async (act, argument) => {
      const id = nextId;
      nextId += 1;
      const answer = new Promise<{ value?: unknown; error?: string }>((resolve, reject) => {
        const look = (message: { id: number; value?: unknown; error?: string }) => {
          if (message.id !== id) return;
          child.off('message', look);
          resolve(message);
        };
        child.on('message', look);
        void gone.then(() => reject(new Error('it ended')));
      });
      child.send({ id, body: act.toString(), argument });
      const { value, error } = await answer;
      if (error !== undefined) throw new Error(error);
      return value as never;
    },
    page: async () => {
      const port = join(dataDir, 'desktop/stand-in/profile/DevToolsActivePort');
      await vi.waitUntil(() => existsSync(port) && readFileSync(port, 'utf8').includes('\n'), { timeout: 15_000 });
      browser ??= await chromium.connectOverCDP(`http://127.0.0.1:${readFileSync(port, 'utf8').split('\n')[0]}`);
      browsers.add(browser);
      const connected = browser;
      const ours = () =>
        connected
          .contexts()[0]
          ?.pages()
          .find((page) => page.url().startsWith('https://hearthlend.app.stand-in'));
      await vi.waitUntil(() => ours() !== undefined, { timeout: 15_000 });
      return ours() as Page;
    },
  };
}

/**
 * Playwright holds Electron back until it is connected, which is only so where it finds the runtime itself: no word of the app is missed then.
 * Left to itself it would switch Chromium's sandbox off.
 */
async function startReal(path: string, args: string[], env: Record<string, string>, short: boolean): Promise<Started> {
  if (short) {
    const unanswered = () => Promise.reject(new Error('it was started to end at once'));
    return { process: spawn(path, [ROOT, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] }), evaluate: unanswered, page: unanswered };
  }
  const electron: ElectronApplication = await _electron.launch({ args: [ROOT, ...args], env, chromiumSandbox: true });
  return {
    process: electron.process(),
    evaluate: (act, argument) => electron.evaluate(act as never, argument as never) as never,
    page: async () => electron.windows().find((page) => !page.isClosed()) ?? (await electron.waitForEvent('window')),
  };
}

/** Waits until something is so, on machines that may be slow and busy. */
export function until(holds: () => boolean | Promise<boolean>): Promise<unknown> {
  return vi.waitUntil(holds, { timeout: 45_000 });
}

/** A folder that looks like the program's own, but for `left`, for what can go wrong with one. */
export function partialProgram(left: readonly string[]): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'dist'));
  for (const path of ['dist/electron', 'dist/ui', 'dist/worker', 'dist/wallet', 'resources', 'node_modules', 'package.json']) {
    if (!left.includes(path) && existsSync(join(ROOT, path))) symlinkSync(join(ROOT, path), join(folder, path));
  }
  return folder;
}

/** Asks a desktop app to quit, and waits for its end. */
export async function quit(desktop: Desktop): Promise<number | null> {
  await desktop.evaluate(({ app }) => {
    app.quit();
    app.quit();
  }, null);
  return desktop.ended;
}
