import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { firstThatWorks, type WayOut } from './attempt.ts';

const PROBE_NAME = `.hearthlend-probe-${process.pid}`;
/** Written past the bound of scratch; page sizes and metadata are well below. */
const SLACK_BYTES = 4 << 20;
const CHUNK = new Uint8Array(1 << 20);

/** Places where a program could leave something for others to find, or fill the machine's memory. */
const FOLDERS: Record<string, string[]> = {
  'write-root': ['/'],
  'write-etc': ['/etc'],
  'write-usr': ['/usr', '/usr/local'],
  'write-tmp': ['/tmp', '/var/tmp', '/private/tmp'],
  'write-run': ['/run', '/run/lock'],
  'write-shared-memory': ['/dev/shm', '/dev/mqueue'],
  'write-devices-folder': ['/dev'],
};

/** Files through which root, or whoever looks like it, rules the machine. They are opened and never changed. */
const KERNEL_CONTROLS: Record<string, string[]> = {
  'open-kernel-settings-for-writing': ['/proc/sys/kernel/core_pattern', '/proc/sys/kernel/hostname', '/proc/sys/vm/overcommit_memory'],
  'open-kernel-triggers-for-writing': ['/proc/sysrq-trigger', '/proc/mtrr', '/proc/irq/default_smp_affinity'],
  'open-cgroups-for-writing': ['/sys/fs/cgroup/cgroup.procs', '/sys/fs/cgroup/memory/tasks', '/sys/fs/cgroup/pids/tasks'],
  'open-own-limits-for-writing': ['/proc/self/oom_score_adj', '/proc/self/uid_map', '/proc/self/setgroups'],
};

/** Of these the bare kernel denies an ordinary user each one. */
const DENIED = new Set([
  ...['write-root', 'write-etc', 'write-usr', 'write-devices-folder'],
  ...['open-kernel-settings-for-writing', 'open-kernel-triggers-for-writing', 'open-cgroups-for-writing'],
]);
const wallOf = (name: string): WayOut['wall'] => (DENIED.has(name) ? 'kernel' : 'mounts');

export const writingWays: WayOut[] = [
  ...Object.entries(FOLDERS).map(
    ([name, folders]): WayOut => ({
      name,
      kind: 'files',
      wall: wallOf(name),
      reach: () => firstThatWorks(folders.filter(existsSync), writeInto),
    }),
  ),
  ...Object.entries(KERNEL_CONTROLS).map(
    ([name, paths]): WayOut => ({
      name,
      kind: 'privilege',
      wall: wallOf(name),
      reach: () => firstThatWorks(paths.filter(existsSync), openForWriting),
    }),
  ),
  { name: 'write-home', kind: 'files', wall: 'mounts', reach: ({ home }) => writeInto(home) },
  {
    name: 'write-working-folder',
    kind: 'files',
    wall: 'kernel',
    reach: ({ granted }) => (process.cwd() === granted.scratchDir ? null : writeInto(process.cwd())),
  },
  { name: 'write-models-folder', kind: 'files', wall: 'mounts', reach: ({ granted }) => writeInto(granted.modelsDir) },
  { name: 'write-beside-script', kind: 'files', wall: 'mounts', reach: () => writeInto(dirname(scriptPath())) },
  { name: 'open-script-for-writing', kind: 'files', wall: 'mounts', reach: () => openForWriting(scriptPath()) },
  // A running program is busy to everybody, so what counts is its folder.
  { name: 'write-beside-node', kind: 'files', wall: 'mounts', reach: () => writeInto(dirname(process.execPath)) },
  { name: 'open-model-for-writing', kind: 'files', wall: 'mounts', reach: ({ granted }) => openForWriting(firstFile(granted.modelsDir)) },
  {
    name: 'change-model-attributes',
    kind: 'files',
    wall: 'mounts',
    reach: ({ granted }) => {
      const path = firstFile(granted.modelsDir);
      const { mode, atime, mtime } = statSync(path);
      chmodSync(path, mode);
      utimesSync(path, atime, mtime);
      return `set mode and times of ${path}`;
    },
  },
  {
    name: 'link-model-away',
    kind: 'files',
    wall: 'mounts',
    reach: ({ granted }) => {
      const target = join(granted.scratchDir ?? granted.modelsDir, PROBE_NAME);
      linkSync(firstFile(granted.modelsDir), target);
      unlinkSync(target);
      return `gave a model's file the second name ${target}`;
    },
  },
  {
    name: 'link-out-of-scratch',
    kind: 'files',
    wall: 'mounts',
    reach: ({ granted }) => {
      if (granted.scratchDir === null) return null;
      const link = join(granted.scratchDir, PROBE_NAME);
      symlinkSync('/etc/passwd', link);
      try {
        return `read ${readFileSync(link).byteLength} bytes through a link`;
      } finally {
        unlinkSync(link);
      }
    },
  },
  {
    name: 'fill-scratch-past-its-bound',
    kind: 'memory',
    wall: 'bounds',
    reach: ({ granted }) => {
      if (granted.scratchDir === null) return null;
      const written = fill(join(granted.scratchDir, PROBE_NAME), granted.scratchBytes + SLACK_BYTES);
      return written > granted.scratchBytes ? `wrote ${written} bytes where ${granted.scratchBytes} are granted` : null;
    },
  },
];

function scriptPath(): string {
  return process.argv[1] ?? '';
}

/** A file somewhere below; its bytes don't matter. @throws where there is none, so a test must put one there. */
function firstFile(folder: string): string {
  const entry = readdirSync(folder, { recursive: true, withFileTypes: true }).find((each) => each.isFile());
  if (entry === undefined) throw new Error(`no file in ${folder}`);
  return join(entry.parentPath, entry.name);
}

function writeInto(folder: string): string {
  const path = join(folder, PROBE_NAME);
  writeFileSync(path, 'probe', { flag: 'wx' });
  try {
    readFileSync(path);
  } finally {
    unlinkSync(path);
  }
  return `wrote and removed ${path}`;
}

function openForWriting(path: string): string {
  closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY));
  return `opened ${path} for writing`;
}

/** Bytes that fitted. */
function fill(path: string, bytes: number): number {
  const file = openSync(path, 'wx');
  let written = 0;
  try {
    while (written < bytes) written += writeSync(file, CHUNK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
    unlinkSync(path);
  }
  return written;
}
