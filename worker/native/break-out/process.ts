import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, unlinkSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { firstThatWorks, type WayOut } from './attempt.ts';

/** What Node itself keeps open: its event loop, and pipes from one of its threads to another. */
const NODES_OWN = /^(anon_inode:|pipe:|\/dev\/null$)/;

export const processWays: WayOut[] = [
  {
    name: 'see-other-processes',
    kind: 'processes',
    wall: 'namespaces',
    reach: () => {
      const others = visibleProcesses();
      return others.length === 0 ? null : `saw ${others.length} processes, one of them ${others[0]}`;
    },
  },
  {
    name: 'read-command-lines',
    kind: 'processes',
    wall: 'namespaces',
    reach: () => firstThatWorks(visibleProcesses(), (pid) => readSome(`/proc/${pid}/cmdline`)),
  },
  { name: 'signal-agent', kind: 'processes', wall: 'namespaces', reach: ({ agentPid }) => (isOwn(agentPid) ? null : signal(agentPid)) },
  { name: 'signal-parent', kind: 'processes', wall: 'namespaces', reach: () => (isBubblewrap(process.ppid) ? null : signal(process.ppid)) },
  { name: 'signal-everyone', kind: 'processes', wall: 'namespaces', reach: () => signal(-1) },
  {
    name: 'change-agent-priority',
    kind: 'processes',
    wall: 'namespaces',
    reach: ({ agentPid }) => {
      if (isOwn(agentPid)) return null;
      setPriority(agentPid, getPriority(agentPid));
      return `set the priority of ${agentPid}`;
    },
  },
  {
    name: 'read-agent-memory',
    kind: 'processes',
    wall: 'namespaces',
    reach: ({ agentPid }) => (isOwn(agentPid) ? null : readMemory(agentPid)),
  },
  {
    name: 'list-agent-files',
    kind: 'processes',
    wall: 'namespaces',
    reach: ({ agentPid }) => (isOwn(agentPid) ? null : `listed ${readdirSync(`/proc/${agentPid}/fd`).length} open files of ${agentPid}`),
  },
  {
    name: 'start-program',
    kind: 'processes',
    wall: 'system-calls',
    reach: () => start(process.execPath, ['-e', 'process.stdout.write("started")']),
  },
  {
    name: 'start-program-from-scratch',
    kind: 'processes',
    wall: 'system-calls',
    reach: ({ granted }) => {
      if (granted.scratchDir === null) return null;
      const path = join(granted.scratchDir, `probe-${process.pid}`);
      writeFileSync(path, `#!${process.execPath}\nprocess.stdout.write("started");\n`, { mode: 0o755 });
      try {
        return start(path, []);
      } finally {
        unlinkSync(path);
      }
    },
  },
  {
    name: 'find-canary',
    kind: 'environment',
    wall: 'environment',
    reach: ({ canary }) => (process.env[canary.name] === undefined ? null : `found ${canary.name}`),
  },
  {
    name: 'find-other-variables',
    kind: 'environment',
    wall: 'environment',
    reach: ({ granted }) => {
      const extra = Object.keys(process.env).filter((name) => !granted.environment.includes(name));
      return extra.length === 0 ? null : `found ${extra.join(', ')}`;
    },
  },
  {
    name: 'read-agent-environment',
    kind: 'environment',
    wall: 'namespaces',
    reach: ({ agentPid }) => (isOwn(agentPid) ? null : readSome(`/proc/${agentPid}/environ`)),
  },
  {
    name: 'read-other-environments',
    kind: 'environment',
    wall: 'namespaces',
    reach: () =>
      firstThatWorks(
        readdirSync('/proc').filter((name) => isPid(name) && Number(name) !== process.pid),
        (pid) => readSome(`/proc/${pid}/environ`),
      ),
  },
  {
    name: 'use-inherited-descriptor',
    kind: 'descriptors',
    wall: 'descriptors',
    reach: () => {
      const found = readdirSync('/proc/self/fd').flatMap((name) => {
        const target = linkOf(`/proc/self/fd/${name}`);
        // The folder that is being listed just now is open, too.
        return Number(name) <= 2 || target === null || NODES_OWN.test(target) || target === `/proc/${process.pid}/fd`
          ? []
          : [`${name} → ${target}`];
      });
      return found.length === 0 ? null : `open: ${found.join(', ')}`;
    },
  },
  {
    name: 'reopen-standard-streams',
    kind: 'descriptors',
    wall: 'descriptors',
    // A pipe or socket of the agent can't be opened again by name; a file or terminal could, and with other rights.
    reach: () =>
      firstThatWorks(['0', '1', '2'], (name) => {
        const target = linkOf(`/proc/self/fd/${name}`);
        if (target === null || !target.startsWith('/') || target === '/dev/null') return null;
        closeSync(openSync(`/proc/self/fd/${name}`, 'r'));
        return `opened ${target} again`;
      }),
  },
];

/** Numbers in /proc but this process, and bubblewrap as the first process of a namespace. */
function visibleProcesses(): string[] {
  return readdirSync('/proc').filter((name) => isPid(name) && Number(name) !== process.pid && !isBubblewrap(Number(name)));
}

function isPid(name: string): boolean {
  return /^\d+$/.test(name);
}

/** bubblewrap stays as process 1, to collect what ends. It lives under the same walls, so seeing it is not a way out. */
function isBubblewrap(pid: number): boolean {
  if (pid !== 1 || process.ppid !== 1) return false;
  return readFileSync('/proc/1/comm', 'utf8') === 'bwrap\n';
}

/** In a namespace of its own small numbers mean other processes than outside: this one, its threads, bubblewrap. */
export function isOwn(pid: number): boolean {
  return pid === process.pid || isBubblewrap(pid) || readdirSync('/proc/self/task').includes(String(pid));
}

/** Signal 0 asks whether one could be sent. */
function signal(pid: number): string {
  process.kill(pid, 0);
  return pid === -1 ? 'could signal other processes' : `could signal ${pid}`;
}

function readSome(path: string): string | null {
  const bytes = readFileSync(path).byteLength;
  return bytes === 0 ? null : `read ${bytes} bytes of ${path}`;
}

/** One byte of the first readable mapping. */
function readMemory(pid: number): string {
  const start = /^([0-9a-f]+)-[0-9a-f]+ r/m.exec(readFileSync(`/proc/${pid}/maps`, 'utf8'))?.[1];
  if (start === undefined) throw new Error('no mapping to read');
  const file = openSync(`/proc/${pid}/mem`, 'r');
  try {
    readSync(file, new Uint8Array(1), 0, 1, BigInt(`0x${start}`));
    return `read the memory of ${pid}`;
  } finally {
    closeSync(file);
  }
}

function start(program: string, args: string[]): string | null {
  const { error, stdout } = spawnSync(program, args, { encoding: 'utf8', timeout: 1000, env: {} });
  if (error) throw error;
  return stdout === 'started' ? `started ${program}` : null;
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
