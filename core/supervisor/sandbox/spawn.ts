import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import type { Launch } from './plan.ts';

/** A started worker: frames or JSON go in at stdin and come out at stdout, and stderr is for the log. */
export interface LaunchedProcess extends ChildProcess {
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
}

/** O_CLOEXEC as /proc/<pid>/fdinfo prints it, in octal. */
const CLOSE_ON_EXEC = 0o2000000;
/** Descriptors that are looked at; an agent has some dozens. */
const DESCRIPTORS_MAX = 65_536;

/** util-linux's, by which a command starts with limits; Node can't set any. It is no part of what is started, and leaves its environment alone. */
const PRLIMIT = '/usr/bin/prlimit';
/** A worker has some thirty open; drivers of graphics cards some hundred. */
const OPEN_FILES = 1024;

/** Starts a launch plan. Whether that worked shows as for any child: by the events `spawn`, `error`, `exit`. */
export function spawnLaunch(launch: Omit<Launch, 'inside'>): LaunchedProcess {
  const stdio: Array<'pipe' | 'ignore' | number> = ['pipe', 'pipe', 'pipe', ...launch.inputs.map(() => 'pipe' as const)];
  const inherited = inheritedDescriptors().filter((descriptor) => descriptor >= stdio.length);
  // Whoever started the agent may have left files open in it, and those would be open in the worker too: Node closes only the lowest of
  // them. In the worker they lead to nowhere.
  const nowhere = inherited.length === 0 ? null : openSync('/dev/null', 'r');
  try {
    if (nowhere !== null) {
      for (let descriptor = stdio.length; descriptor <= (inherited.at(-1) ?? 0); descriptor += 1) {
        stdio.push(inherited.includes(descriptor) ? nowhere : 'ignore');
      }
    }
    // In a process group of its own: Ctrl-C in a terminal goes to all of the agent's, and the agent finishes its shard first.
    const detached = process.platform !== 'win32';
    const [command, ...args] = limited([launch.command, ...launch.args]);
    const child = spawn(command as string, args, { env: launch.env, cwd: '/', stdio, detached, windowsHide: true });
    launch.inputs.forEach((bytes, index) => {
      const pipe = child.stdio[index + 3] as Writable;
      // A command that ends before it has read them says so by its exit.
      pipe.on('error', () => pipe.destroy());
      pipe.end(bytes);
    });
    return child as LaunchedProcess;
  } finally {
    if (nowhere !== null) closeSync(nowhere);
  }
}

/**
 * The same command with bounded descriptors, and without core dumps: what a worker had in memory would lie on the disk, with whoever collects
 * them. Where there is no prlimit it stays as it is.
 */
function limited(command: string[]): string[] {
  if (process.platform !== 'linux' || !existsSync(PRLIMIT)) return command;
  const hardLimit = Number(/^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? OPEN_FILES);
  return [PRLIMIT, '--core=0', `--nofile=${Math.min(hardLimit, OPEN_FILES)}`, '--', ...command];
}

/** Descriptors of this process that a child would get, ascending. Linux; elsewhere Node's own handling has to do. */
function inheritedDescriptors(): number[] {
  if (process.platform !== 'linux') return [];
  const found: number[] = [];
  for (const name of readdirSync('/proc/self/fdinfo').slice(0, DESCRIPTORS_MAX)) {
    const descriptor = Number(name);
    if (descriptor > 2 && !closesOnExec(descriptor)) found.push(descriptor);
  }
  return found.sort((a, b) => a - b);
}

function closesOnExec(descriptor: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1];
    return flags === undefined || (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) !== 0;
  } catch (error) {
    // The descriptor with which the folder was listed is gone by now, and so may others be.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw error;
  }
}
