// The desktop app from a checkout: whether Electron can show a window here, its runtime, and whether its window came.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

/** How long the window may take until its page shows the agent. */
const readyMs = 15_000;
/** How long an app that is to make room for the next way of showing may take to hand in its task. */
const goneMs = 5000;

/**
 * Why Electron can't show a window here, known before anything is fetched; undefined where nothing speaks against it.
 * `known`: the browser's window would fail for the same reason, and says so.
 * @param {{ platform: string, env: Record<string, string | undefined>, uid: number | undefined, read(path: string): string | undefined }} machine
 * @returns {{ why: string, known: boolean } | undefined}
 */
export function desktopObstacle({ platform, env, uid, read }) {
  if (platform === 'darwin' || platform === 'win32') {
    return env.SSH_CONNECTION === undefined ? undefined : { why: 'this is a remote session', known: true };
  }
  if (!env.DISPLAY && !env.WAYLAND_DISPLAY) return { why: 'there is no display', known: true };
  if (uid === 0) return { why: 'Electron refuses to run as root', known: true };
  const is = (path, value) => read(path)?.trim() === value;
  const refused =
    is('/proc/sys/kernel/apparmor_restrict_unprivileged_userns', '1') ||
    is('/proc/sys/kernel/unprivileged_userns_clone', '0') ||
    is('/proc/sys/user/max_user_namespaces', '0');
  return refused ? { why: "this system restricts the namespaces that Electron's own sandbox needs", known: false } : undefined;
}

/** Text of a file of the system; undefined where it isn't there. */
export function readSystemFile(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The folder of the package electron; undefined where it isn't installed. */
export function electronFolder(root) {
  try {
    return dirname(createRequire(join(root, 'package.json')).resolve('electron/package.json'));
  } catch {
    return undefined;
  }
}

/** The runtime in the package's folder, of the package's version; undefined where it was not fetched. */
export function installedRuntime(folder) {
  const name = readSystemFile(join(folder, 'path.txt'));
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (name === undefined || readSystemFile(join(folder, 'dist/version'))?.replace(/^v/, '').trim() !== version) return undefined;
  const path = join(folder, 'dist', name);
  return existsSync(path) && statSync(path).isFile() ? path : undefined;
}

/**
 * Fetches the runtime, with progress. Resolves with why it could not be; undefined when it is there.
 * @param {{ command: string, args: string[], say(line: string): void, terminal: NodeJS.WriteStream }} options command: fetch-electron.mjs
 * @returns {Promise<string | undefined>}
 */
export function fetchRuntime({ command, args, say, terminal }) {
  say("Fetching Electron's runtime for the desktop window, about 110 MB, once. The first time takes a minute or two.");
  return new Promise((resolve) => {
    let why;
    let shown = -1;
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      const { percent, transferred, total, failed } = parse(line) ?? {};
      if (failed !== undefined) why = failed;
      if (percent === undefined) return;
      const megabytes = (bytes) => Math.round(bytes / 1e6);
      const text = `  ${percent}% (${megabytes(transferred)} of ${total === null ? '?' : megabytes(total)} MB)`;
      if (terminal.isTTY) terminal.write(`\r\x1b[K${text}`);
      else if (percent >= shown + 10 || percent === 100) {
        shown = percent;
        say(text);
      }
    });
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code) => {
      if (terminal.isTTY) terminal.write('\r\x1b[K');
      resolve(code === 0 ? undefined : (why ?? `it ended with exit code ${code}`));
    });
  });
}

/**
 * Starts the app and waits until its window shows the agent. Where it doesn't, the app is gone when this resolves, with its reason.
 * @param {{ command: string, args: string[], env: Record<string, string | undefined>, withinMs?: number }} options
 * @returns {Promise<{ shown: true, child: import('node:child_process').ChildProcess, handedOver: boolean } | { shown: false, why: string }>}
 */
export function startDesktop({ command, args, env, withinMs = readyMs }) {
  const { ELECTRON_RUN_AS_NODE: _asNode, ...rest } = env;
  const child = spawn(command, args, { env: { ...rest, HEARTHLEND_TERMINAL: '1' }, stdio: ['ignore', 'pipe', 'inherit'] });
  const leave = (signal) => {
    child.kill(signal);
    process.exit(1);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.once(signal, leave);
  return new Promise((resolve) => {
    let why;
    const settle = (outcome) => {
      clearTimeout(deadline);
      for (const signal of signals) process.removeListener(signal, leave);
      resolve(outcome);
    };
    const end = (reason) => {
      why ??= reason;
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), goneMs).unref();
    };
    const deadline = setTimeout(() => end(`no window came within ${withinMs / 1000} s`), withinMs);
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { event, message } = parse(line) ?? {};
      if (event === 'failed') end(message);
      if (why === undefined && (event === 'ready' || event === 'handed-over')) {
        settle({ shown: true, child, handedOver: event === 'handed-over' });
      }
    });
    child.once('error', (error) => settle({ shown: false, why: error.message }));
    child.once('close', (code, signal) => settle({ shown: false, why: why ?? `it ended with ${signal ?? `exit code ${code}`}` }));
  });
}

function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    // Chromium writes there too.
    return undefined;
  }
}

/**
 * Shows the desktop app, where it can be. Resolves with the running app, or undefined where something else has to show Hearthlend; says which
 * and why.
 * @param {{ root: string, node: string, machine: Parameters<typeof desktopObstacle>[0], say(line: string): void, terminal: NodeJS.WriteStream,
 *   folder?: string | undefined, fetcher?: string }} options folder: the package electron's
 */
export async function showDesktop({ root, node, machine, say, terminal, folder = electronFolder(root), fetcher }) {
  const obstacle = desktopObstacle(machine);
  const instead = (why) => {
    say(`No desktop window: ${why}. Showing it in a browser instead.`);
    return undefined;
  };
  if (obstacle !== undefined) {
    if (!obstacle.known) instead(obstacle.why);
    return undefined;
  }
  if (folder === undefined) return instead('the package electron is not installed');
  let runtime = installedRuntime(folder);
  if (runtime === undefined) {
    const args = [fetcher ?? join(import.meta.dirname, 'fetch-electron.mjs'), folder];
    const why = await fetchRuntime({ command: node, args, say, terminal });
    if (why !== undefined) return instead(`Electron's runtime could not be fetched (${why})`);
    runtime = installedRuntime(folder);
    if (runtime === undefined) return instead("Electron's runtime was fetched but is not there");
  }
  const outcome = await startDesktop({ command: runtime, args: [root], env: machine.env });
  if (!outcome.shown) return instead(`Electron's window did not come (${outcome.why})`);
  const words = outcome.handedOver
    ? 'Hearthlend runs already; its window is in front.'
    : "The window is Hearthlend's own (Electron). Closing it doesn't stop Hearthlend; Ctrl-C here or Quit at its icon does.";
  say(words);
  return outcome.child;
}
