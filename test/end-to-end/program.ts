import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, vi } from 'vitest';

const root = join(import.meta.dirname, '../..');
/** The built program, and the Node that it is shipped with. */
export const PROGRAM = join(root, 'dist/cli/main.mjs');
export const NODE = join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node');
export const START = ['start', '--headless', '--network', 'local'] as const;

// Each test starts the whole program several times, on machines that may be slow and busy.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

const commands: Command[] = [];
const folders: string[] = [];
// After the last test of a file, also one that failed or took too long: nothing goes on, nothing is left.
afterAll(async () => {
  for (const command of commands) await command.kill();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A line that a command prints with `--json`. */
export type Line = Record<string, unknown>;

/** How a command ended, and everything it said. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** One command line of the real program under way, in a process of its own. */
export class Command {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';
  readonly #lines: Line[] = [];
  #look: () => void = () => undefined;

  /** `wrapper` starts it: `['setpriv', …]` and the like. */
  constructor(argv: readonly string[], options: { wrapper?: readonly string[]; spawn?: SpawnOptions } = {}) {
    const [command = NODE, ...args] = [...(options.wrapper ?? []), NODE, PROGRAM, ...argv];
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options.spawn });
    for (const name of ['stdout', 'stderr'] as const) {
      this.process[name]?.setEncoding('utf8').on('data', (text: string) => {
        this[name] += text;
        this.#look();
      });
    }
    this.ended = once(this.process, 'close').then(([code, signal]) => {
      this.#look();
      return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout: this.stdout, stderr: this.stderr };
    });
    commands.push(this);
  }

  /** Ends it the hard way, if it still runs. */
  async kill(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGKILL');
    await this.ended;
  }

  /** Its whole lines so far, where it was asked for `--json`. The same objects each time. */
  get lines(): Line[] {
    for (const text of this.stdout.split('\n').slice(this.#lines.length, -1)) this.#lines.push(JSON.parse(text) as Line);
    return this.#lines;
  }

  /** Waits for the first line that `wanted` takes. Throws where it ends without one. */
  async line(wanted: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const found = this.lines.find(wanted);
      if (found !== undefined) return found;
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        await this.ended;
        const late = this.lines.find(wanted);
        if (late !== undefined) return late;
        throw new Error(`it ended before that line: ${this.stdout.slice(-2000)} ${this.stderr.slice(-2000)}`);
      }
      await new Promise<void>((resolve) => {
        this.#look = resolve;
      });
    }
  }

  /** Waits for the first `event` with these fields. */
  event(event: string, fields: Line = {}): Promise<Line> {
    return this.line((line) => line.event === event && Object.entries(fields).every(([name, value]) => line[name] === value));
  }
}

/** A command on a data folder, with `--json`. */
export function hearthlend(dataDir: string, ...argv: string[]): Command {
  return new Command([...argv, '--json', '--data-dir', dataDir]);
}

/** Runs a command with `--json` to its end. */
export async function run(dataDir: string, ...argv: string[]): Promise<Ended & { lines: Line[]; last: Line }> {
  const command = hearthlend(dataDir, ...argv);
  const ended = await command.ended;
  const { lines } = command;
  return { ...ended, lines, last: lines.at(-1) ?? {} };
}

/** Runs a command to its end as people do. */
export function runForPeople(dataDir: string, ...argv: string[]): Promise<Ended> {
  return new Command([...argv, '--data-dir', dataDir]).ended;
}

/** A folder that is gone after the tests. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `hearthlend-${name}-`));
  folders.push(folder);
  return folder;
}

/** A copy of a data folder that no agent uses. The practice model's files, which are links, are left out: an agent links them in again. */
export function copyOf(dataDir: string): string {
  const copy = temporaryFolder('copy');
  const filter = (path: string) => {
    const found = statSync(path);
    return found.isDirectory() || found.nlink === 1;
  };
  cpSync(dataDir, copy, { recursive: true, filter });
  return copy;
}

/** Everything below a folder, as paths. */
export function allFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Process ids below a process: its workers, and what holds them. Linux only. */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const [state, parent] = statusOf(Number(name));
      if (state !== 'Z') parents.set(Number(name), Number(parent));
    } catch {
      // It ended while we looked.
    }
  }
  const below = (each: number): boolean => {
    const parent = parents.get(each);
    return parent !== undefined && parent > 1 && (parent === pid || below(parent));
  };
  return [...parents.keys()].filter(below);
}

/** Whether a process runs; one that is over and only waits to be noticed does not. Linux only. */
export function isRunning(pid: number): boolean {
  try {
    return statusOf(pid)[0] !== 'Z';
  } catch {
    return false;
  }
}

/** State, parent and what else comes after a process's name. Source: proc(5). */
function statusOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}
