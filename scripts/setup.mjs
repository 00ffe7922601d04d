// What a checkout needs before anything of it can run: npm's packages, and on Linux a few of the distribution's.
// Runs on Node 20 with nothing installed.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

export const root = join(import.meta.dirname, '..');
const stampFile = join(root, 'node_modules/.hearthlend-lock');
const debianStampFile = join(root, 'node_modules/.hearthlend-debian');
const debianRetryMs = 24 * 60 * 60 * 1000;

/** The Node that everything of ours runs on: the one that the npm package `node` carries. */
export const nodeBinary = join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node');

/** An error whose message is for the reader and needs no stack. */
export class SetupError extends Error {}

/** Ends the script on `error`: a SetupError by its message alone. */
export function fail(error) {
  console.error(error instanceof SetupError ? `\n${error.message}` : error);
  process.exit(1);
}

/** Runs to the end, its output on this terminal. @returns {Promise<number>} the exit code, 1 when a signal ended it */
export function run(command, args, { env = process.env, shell = false } = {}) {
  return new Promise((resolve, reject) => {
    const plain = process.stdout.isTTY ? {} : { NO_COLOR: '1' };
    const child = spawn(command, args, { cwd: root, env: { ...env, ...plain }, shell, stdio: ['ignore', 'inherit', 'inherit'] });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/** What must be the same for node_modules to be usable: the lockfile and the machine. */
function dependenciesId() {
  const lock = readFileSync(join(root, 'package-lock.json'));
  return `${createHash('sha256').update(lock).digest('hex')} ${process.platform} ${process.arch}\n`;
}

/** True when node_modules holds what package-lock.json says. */
export function dependenciesFresh() {
  return existsSync(nodeBinary) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === dependenciesId();
}

/** True when the packages that build and check are there, which `npm ci --omit=dev` leaves out. */
export function buildToolsInstalled() {
  return ['rolldown', 'vite', '@vitejs/plugin-react'].every((name) => existsSync(join(root, 'node_modules', name, 'package.json')));
}

/** Records that npm has just installed what package-lock.json says. */
export function markDependenciesFresh() {
  if (existsSync(nodeBinary) && buildToolsInstalled()) writeFileSync(stampFile, dependenciesId());
}

/** How to start npm: the very npm that started us, else the one on PATH. */
export function npmCommand(env, platform = process.platform) {
  const cli = env.npm_execpath;
  if (cli !== undefined && /npm-cli\.[cm]?js$/.test(cli))
    return { command: env.npm_node_execpath ?? process.execPath, args: [cli], shell: false };
  return { command: 'npm', args: [], shell: platform === 'win32' };
}

/** Runs `npm ci` unless node_modules holds what package-lock.json says. @throws {SetupError} */
export async function ensureDependencies() {
  if (dependenciesFresh()) return;
  const { command, args, shell } = npmCommand(process.env);
  // Windows can't delete the node.exe that runs this script; `npm install` leaves alone what hasn't changed.
  const inUse = process.platform === 'win32' && process.execPath.toLowerCase().startsWith(join(root, 'node_modules').toLowerCase());
  const verb = inUse ? ['install', '--no-save'] : ['ci'];
  console.log(`Installing dependencies (npm ${verb.join(' ')}). The first time takes a minute or two.`);
  const startedAt = Date.now();
  // npm draws its own progress on a terminal and says nothing elsewhere.
  const ticker = process.stdout.isTTY ? undefined : setInterval(() => console.log(`  still installing, ${seconds(startedAt)}`), 15_000);
  // Some packages ask for the Node that they will run on, which npm itself need not be: its warnings would mislead.
  const quietly = '--loglevel=error';
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(config_(loglevel|omit|production)|lifecycle_)/i.test(name)),
  );
  const code = await run(command, [...args, ...verb, quietly], { env, shell })
    .catch((error) => {
      throw new SetupError(`npm could not be started (${error.message}). Install Node 20 or newer together with npm, then run this again.`);
    })
    .finally(() => clearInterval(ticker));
  if (code !== 0) {
    throw new SetupError(
      `npm ${verb.join(' ')} failed with exit code ${code}; npm's own message is above.\n` +
        'It needs the npm registry and about 1 GB of disk. When that is in order, run this again.',
    );
  }
  if (!existsSync(nodeBinary)) {
    throw new SetupError(
      `npm installed the packages but not Node itself (${nodeBinary} is missing): install scripts seem to be switched off.\n` +
        'Run `npm ci --ignore-scripts=false`, then run this again.',
    );
  }
  if (!buildToolsInstalled()) throw new SetupError(buildToolsMissing);
  markDependenciesFresh();
  console.log(`Dependencies installed in ${seconds(startedAt)}.`);
}

export const buildToolsMissing =
  'The packages that build Hearthlend are not installed: npm was told to leave out devDependencies.\n' +
  'Run `npm ci --include=dev` and then `npm run build`, or bring a dist folder that was built elsewhere from the same files.';

function seconds(sinceMs) {
  return `${Math.round((Date.now() - sinceMs) / 1000)} s`;
}

/** True when one of `names` is a program on PATH, or, for a whole path, there. */
export function programExists(names, env = process.env) {
  return names.some((name) =>
    (isAbsolute(name) ? [''] : (env.PATH ?? '').split(delimiter)).some((folder) => {
      try {
        const file = join(folder, name);
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    }),
  );
}

/**
 * Programs that come from the system's package manager: what any of `programs` on PATH proves, and each manager's package names.
 * @typedef {{ what: string, programs: string[], apt: string[], dnf: string[], pacman: string[], brew: string[] }} SystemPackage
 */
/** @type {SystemPackage} */
export const bubblewrap = {
  what: "bubblewrap (the wall around what computes other people's work)",
  programs: ['bwrap'],
  apt: ['bubblewrap'],
  dnf: ['bubblewrap'],
  pacman: ['bubblewrap'],
  brew: [],
};
/** @type {SystemPackage} */
export const chromium = {
  what: 'Chromium (tests of what is on screen)',
  programs: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'microsoft-edge'],
  apt: ['chromium', 'fonts-liberation'],
  dnf: ['chromium', 'liberation-fonts'],
  pacman: ['chromium', 'ttf-liberation'],
  brew: ['--cask', 'google-chrome'],
};
/** @type {SystemPackage} */
export const xvfb = {
  what: 'Xvfb (tests of what the user does at an X11 desktop)',
  programs: ['Xvfb'],
  apt: ['xvfb'],
  dnf: ['xorg-x11-server-Xvfb'],
  pacman: ['xorg-server-xvfb'],
  brew: [],
};
/** @type {SystemPackage} */
export const dbus = {
  what: 'dbus-daemon (tests of what Linux tells of session and network)',
  programs: ['dbus-daemon'],
  apt: ['dbus-daemon'],
  dnf: ['dbus-daemon'],
  pacman: ['dbus'],
  brew: [],
};
/**
 * Debian's package starts a service of its own on port 4222 where systemd runs: nothing of ours uses that one.
 * @type {SystemPackage}
 */
export const natsServer = {
  what: 'nats-server (what a coordinator talks to its workers through)',
  // Debian puts it where only root's PATH leads.
  programs: ['nats-server', '/usr/sbin/nats-server'],
  apt: ['nats-server'],
  dnf: ['nats-server'],
  pacman: ['nats-server'],
  brew: ['nats-server'],
};

/**
 * How to install `missing` here: `install` is what we may run ourselves, else `say` is the command for the reader.
 * @param {SystemPackage[]} missing
 * @param {{ manager: 'apt' | 'dnf' | 'pacman' | 'brew' | undefined, root: boolean, sudo: boolean }} machine
 * @returns {{ install?: string[][], say?: string }}
 */
export function installPlan(missing, machine) {
  const names = (manager) => missing.flatMap((entry) => entry[manager]);
  if (machine.manager === 'apt') {
    const prefix = machine.root ? [] : ['sudo'];
    if (machine.root || machine.sudo) {
      const run = machine.root ? [] : ['sudo', '-n'];
      const quick = ['-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=15', '-o', 'Acquire::https::Timeout=15'];
      const apt = [...run, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...quick];
      // One package that isn't to be had must not keep the others away.
      return {
        install: [[...apt, 'update'], ...missing.map((entry) => [...apt, 'install', '-y', '--no-install-recommends', ...entry.apt])],
      };
    }
    return { say: [...prefix, 'apt-get', 'install', ...names('apt')].join(' ') };
  }
  if (machine.manager === 'dnf') return { say: `sudo dnf install ${names('dnf').join(' ')}` };
  if (machine.manager === 'pacman') return { say: `sudo pacman -S ${names('pacman').join(' ')}` };
  if (machine.manager === 'brew') return names('brew').length === 0 ? {} : { say: `brew install ${names('brew').join(' ')}` };
  return { say: `with this system's package manager: ${missing.map((entry) => entry.what).join('; ')}` };
}

function packageManager() {
  if (process.platform === 'darwin') return 'brew';
  if (process.platform !== 'linux') return undefined;
  return ['apt', 'dnf', 'pacman'].find((name) => programExists([name === 'apt' ? 'apt-get' : name]));
}

/**
 * Installs what is missing of `wanted` where we may (Debian or Ubuntu, as root or with a sudo that doesn't ask); elsewhere says how.
 * @param {SystemPackage[]} wanted
 * @param {{ required: boolean, quiet?: boolean }} options required: throws when something stays missing;
 *   quiet: doesn't try again within a day of a failed try
 * @returns {Promise<SystemPackage[]>} what is still missing
 * @throws {SetupError}
 */
export async function ensureDebianPackages(wanted, { required, quiet = false }) {
  let missing = wanted.filter((entry) => !programExists(entry.programs));
  if (missing.length === 0) return [];
  const isRoot = process.getuid?.() === 0;
  const manager = packageManager();
  const sudo =
    manager === 'apt' && !isRoot && programExists(['sudo']) && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  const plan = installPlan(missing, { manager, root: isRoot, sudo });
  if (plan.install !== undefined && !(quiet && triedLately())) {
    console.log(`Installing ${missing.map((entry) => entry.what).join(', ')} with apt-get.`);
    for (const [command, ...args] of plan.install) await run(command, args).catch(() => 1);
    missing = wanted.filter((entry) => !programExists(entry.programs));
    if (missing.length > 0) writeFileSync(debianStampFile, `${Date.now()}\n`);
  }
  if (missing.length === 0) return [];
  const { say } = installPlan(missing, { manager, root: isRoot, sudo: false });
  const how = say ?? installPlan(missing, { manager, root: false, sudo: false }).say;
  const message = `Missing: ${missing.map((entry) => entry.what).join(', ')}.${how === undefined ? '' : `\nTo install: ${how}`}`;
  if (required) throw new SetupError(message);
  console.log(message);
  return missing;
}

function triedLately() {
  return existsSync(debianStampFile) && Date.now() - Number(readFileSync(debianStampFile, 'utf8')) < debianRetryMs;
}
