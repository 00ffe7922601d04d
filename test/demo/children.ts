import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const root = join(import.meta.dirname, '../..');
export const NODE = join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node');
const HEARTHLEND = join(root, 'dist/cli/main.mjs');
/** How long a program may take to leave by itself. */
const LEAVE_WITHIN_MS = 3000;
const KEPT_OUTPUT = 4000;

/** What a program says with `--json`: one object a line. */
export interface Line {
  event: string;
  [field: string]: unknown;
}

/** A program in a process of its own, and in a group of its own: nobody below it is left behind, and Ctrl-C is ours to pass on. */
export class Child {
  readonly process: ChildProcess;
  readonly lines: Line[] = [];
  readonly ended: Promise<void>;
  #told = Promise.withResolvers<void>();
  #stderr = '';

  constructor(command: string, args: readonly string[], input: string | null, env: NodeJS.ProcessEnv) {
    this.process = spawn(command, args, {
      stdio: [input === null ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env,
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    this.process.stdin?.end(input);
    const closed = once(this.process, 'close').catch(() => undefined);
    this.ended = closed.then(() => this.#tell());
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-KEPT_OUTPUT);
    });
    createInterface({ input: this.process.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      this.lines.push(JSON.parse(line) as Line);
      this.#tell();
    });
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  get isOver(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Waits for the first line of this event. @throws what the program said last, where it ends without one */
  async event(event: string): Promise<Line> {
    for (;;) {
      const told = this.#told.promise;
      const found = this.lines.find((line) => line.event === event);
      if (found !== undefined) return found;
      if (this.isOver) throw new Error(`it ended before it said "${event}": ${this.said()}`);
      await told;
    }
  }

  /** What it said last, for whoever has to find out why. */
  said(): string {
    return [JSON.stringify(this.lines.at(-1) ?? {}), this.#stderr.trim()].filter((text) => text !== '').join('\n');
  }

  /** It and everything below it, at once: what a power cut does. */
  async kill(): Promise<void> {
    this.#signal('SIGKILL');
    await this.ended;
  }

  /** Lets it leave by itself, for a while. */
  async stop(): Promise<void> {
    if (!this.isOver) this.process.kill('SIGINT');
    const late = setTimeout(() => this.#signal('SIGKILL'), LEAVE_WITHIN_MS);
    await this.ended;
    clearTimeout(late);
    // Also where it went before those below it.
    this.#signal('SIGKILL');
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.process.pid === undefined) return;
    try {
      if (process.platform === 'win32') this.process.kill(signal);
      else process.kill(-this.process.pid, signal);
    } catch {
      // Nobody is left.
    }
  }

  #tell(): void {
    const told = this.#told;
    this.#told = Promise.withResolvers();
    told.resolve();
  }
}

/** Every program of a demonstration, so that none outlives it, and nothing that it wrote. */
export class Children {
  readonly #all: Child[] = [];
  readonly #env: NodeJS.ProcessEnv;
  #over = false;

  /** @param folder where programs that write temporary files are to write them */
  constructor(folder: string) {
    this.#env = { ...process.env, TMPDIR: folder, TEMP: folder, TMP: folder };
  }

  /** Any program. */
  start(command: string, args: readonly string[], input: string | null = null): Child {
    if (this.#over) throw new Error('the demonstration is over');
    const child = new Child(command, args, input, this.#env);
    this.#all.push(child);
    return child;
  }

  /** Hearthlend's own command line, on a data folder. */
  hearthlend(dataDir: string, argv: readonly string[], input: string | null = null): Child {
    return this.start(NODE, [HEARTHLEND, ...argv, '--json', '--data-dir', dataDir], input);
  }

  /** A command to its end; the last line that it said. @throws what it said, where it failed */
  async run(dataDir: string, argv: readonly string[], input: string | null = null): Promise<Line> {
    const child = this.hearthlend(dataDir, argv, input);
    await child.ended;
    if (child.process.exitCode !== 0) throw new Error(`hearthlend ${argv.slice(0, 2).join(' ')}: ${child.said()}`);
    return child.lines.at(-1) ?? { event: '' };
  }

  /** Ends them all, those that came last first. */
  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#all.toReversed().map((child) => child.stop()));
  }
}
