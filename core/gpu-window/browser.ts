import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { browserEnvironment, browserFlags, type ExtraFlags } from './flags.ts';
import { type BrowserEvent, DevToolsPipe } from './pipe.ts';

/** Starts a program; a test may put another user in between. */
type Spawn = (command: string, args: string[], options: { env: Record<string, string> }) => ChildProcess;

export interface BrowserOptions {
  /** A Chromium-family browser's program. */
  browserPath: string;
  /** Made anew, and removed when the browser is gone. */
  profileDir: string;
  /** Off for root alone, whom Chromium refuses otherwise. */
  sandbox: boolean;
  extraFlags?: ExtraFlags;
  spawn?: Spawn;
}

interface BrowserListener {
  event(event: BrowserEvent): void;
  said(chunk: Uint8Array): void;
  failed(detail: string): void;
  gone(how: string): void;
}

/** The program with two pipes more than usual, in a process group of its own, so that all of it can be killed at once. */
const spawnBrowser: Spawn = (command, args, { env }) =>
  spawn(command, args, {
    env,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    detached: process.platform !== 'win32',
    windowsHide: true,
  });

/** A browser without a window, with nothing of the user's, and with no way to the network. */
export class Browser {
  readonly pipe: DevToolsPipe;
  readonly #child: ChildProcess;
  #killed = false;

  /** @throws where the profile's folder can't be made, or the system refuses at once */
  constructor(
    { browserPath, profileDir, sandbox, extraFlags = [], spawn: start = spawnBrowser }: BrowserOptions,
    listener: BrowserListener,
  ) {
    const removeProfile = () => rmSync(profileDir, { recursive: true, force: true, maxRetries: 3 });
    removeProfile();
    mkdirSync(profileDir, { recursive: true, mode: 0o700 });
    const env = browserEnvironment(profileDir, process.platform, process.env);
    this.#child = start(browserPath, browserFlags(profileDir, sandbox, extraFlags), { env });
    const [, , stderr, out, incoming] = this.#child.stdio as [null, null, Readable, Writable, Readable];
    stderr.on('data', listener.said);
    this.pipe = new DevToolsPipe(out, incoming, listener.event, listener.failed);
    this.#child.once('error', (error) => listener.failed(error.message));
    this.#child.once('exit', () => this.#killGroup());
    // 'close' comes when the last process that holds its pipes is gone.
    this.#child.once('close', (code, signal) => {
      removeProfile();
      listener.gone(signal === null ? `exit code ${code}` : `signal ${signal}`);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Kills it with all its processes. */
  kill(): void {
    if (this.#killed) return;
    this.#killed = true;
    this.#child.kill('SIGKILL');
    this.#killGroup();
  }

  #killGroup(): void {
    if (this.pid === undefined || process.platform === 'win32') return;
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch (error) {
      // Nobody of the group is left.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
