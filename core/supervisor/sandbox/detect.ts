import { once } from 'node:events';
import { accessSync, constants, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { type MessageRef, ref } from '../../contract/messages.ts';
import { type BubblewrapFeatures, type Launch, planBubblewrap, planSandboxExec, type SandboxNeeds, type Wall } from './plan.ts';
import { containerEngine, explainMissing, explainRefusal, type LinuxClues } from './remedy.ts';
import { spawnLaunch } from './spawn.ts';

/** What detection asks of the machine. */
export interface DetectHost {
  platform: NodeJS.Platform;
  /** Absolute path of a program, null where there is none. */
  find(name: string): string | null;
  /** A small text file, null where it can't be read. */
  read(path: string): string | null;
  /** Runs a launch to its end. `code` is null where it was killed or took too long. */
  run(launch: Launch): Promise<{ code: number | null; stderr: string }>;
}

const TRY_MS = 15_000;
const STDERR_CHARS = 4000;
/** Before PATH, which others may have written. NixOS keeps its programs in the third. */
const PROGRAM_FOLDERS = ['/usr/bin', '/bin', '/run/current-system/sw/bin', '/usr/local/bin'];
const NO_FEATURES: BubblewrapFeatures = { disableUserNamespaces: false, boundedScratch: false };
/** Best first: bubblewrap from 0.8 on, 0.7, anything older or setuid. */
const FEATURES: BubblewrapFeatures[] = [
  { disableUserNamespaces: true, boundedScratch: true },
  { disableUserNamespaces: false, boundedScratch: true },
  NO_FEATURES,
];
const CONTAINER_MARKS = ['/.dockerenv', '/run/.containerenv', '/run/systemd/container', '/proc/1/cgroup'] as const;

/**
 * The best wall that this machine has for a worker with these `needs`, found by really starting Node behind it, with the options that the
 * worker will have. Otherwise level `process`, with the reason and the exact remedy. Takes some 50 ms, at most 45 s.
 */
export async function detectWall(needs: SandboxNeeds, host: DetectHost = thisHost): Promise<Wall> {
  if (host.platform === 'linux') return detectBubblewrap(needs, host);
  if (host.platform === 'darwin') return detectSandboxExec(needs, host);
  if (host.platform === 'win32') return noWall('none', ref('isolation.windows'), ref('isolation.windows.remedy'));
  return noWall('none', ref('isolation.platform', { platform: host.platform }), ref('isolation.platform.remedy'));
}

async function detectBubblewrap(needs: SandboxNeeds, host: DetectHost): Promise<Wall> {
  const program = host.find('bwrap');
  if (program === null) {
    const { reason, remedy } = explainMissing(linuxClues(host));
    return noWall('none', reason, remedy);
  }
  let stderr = '';
  for (const features of FEATURES) {
    const tried = await host.run(emptyRun(planBubblewrap(program, needs, features)));
    if (tried.code === 0) return { level: 'os', wall: 'bubblewrap', reason: null, remedy: null, program, features };
    stderr = tried.stderr;
  }
  const { reason, remedy } = explainRefusal(program, stderr, linuxClues(host));
  return noWall('none', reason, remedy);
}

async function detectSandboxExec(needs: SandboxNeeds, host: DetectHost): Promise<Wall> {
  const program = host.find('sandbox-exec');
  const { code, stderr } =
    program === null ? { code: null, stderr: 'sandbox-exec is missing' } : await host.run(emptyRun(planSandboxExec(program, needs)));
  if (code === 0) return { level: 'os', wall: 'sandbox-exec', reason: null, remedy: null, program, features: NO_FEATURES };
  return noWall('none', ref('isolation.worker-unable', { detail: stderr.trim().slice(0, 300) }), ref('isolation.platform.remedy'));
}

function noWall(wall: Wall['wall'], reason: MessageRef, remedy: MessageRef): Wall {
  return { level: 'process', wall, reason, remedy, program: null, features: NO_FEATURES };
}

/** The same launch, but for the script: every plan names that last. */
function emptyRun(launch: Launch): Launch {
  return { ...launch, args: [...launch.args.slice(0, -1), '-e', '0'] };
}

function linuxClues(host: DetectHost): LinuxClues {
  return {
    osRelease: host.read('/etc/os-release'),
    container: containerEngine(
      Object.fromEntries(CONTAINER_MARKS.map((path) => [path, host.read(path)])) as Record<(typeof CONTAINER_MARKS)[number], string | null>,
    ),
    apparmorRestricts: host.read('/proc/sys/kernel/apparmor_restrict_unprivileged_userns'),
    usernsClone: host.read('/proc/sys/kernel/unprivileged_userns_clone'),
    maxUserNamespaces: host.read('/proc/sys/user/max_user_namespaces'),
  };
}

const thisHost: DetectHost = {
  platform: process.platform,
  find: (name) => {
    const folders = [...PROGRAM_FOLDERS, ...(process.env.PATH ?? '').split(':')].filter((folder) => folder.startsWith('/'));
    return folders.map((folder) => posix.join(folder, name)).find(isExecutable) ?? null;
  },
  read: (path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      // Not there and not readable come to the same: nothing is known.
      return null;
    }
  },
  run: async (launch) => {
    const child = spawnLaunch(launch);
    const timer = setTimeout(() => child.kill('SIGKILL'), TRY_MS);
    let stderr = '';
    child.stdin.on('error', () => child.stdin.destroy());
    child.stdin.end();
    child.stdout.resume();
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(0, STDERR_CHARS);
    });
    try {
      const [code] = (await once(child, 'close')) as [number | null];
      return { code, stderr };
    } catch (error) {
      return { code: null, stderr: String(error) };
    } finally {
      clearTimeout(timer);
    }
  },
};

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
