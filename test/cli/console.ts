import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { onTestFinished } from 'vitest';
import { runCommandLine } from '../../cli/program.ts';
import type { EndSignal } from '../../cli/terminal/signals.ts';
import type { World } from '../../cli/world.ts';
import type { App } from '../../core/app.ts';
import { HearthlendError } from '../../core/contract/errors.ts';

/** A stream that keeps what is written and can be waited on. */
class Captured extends Writable {
  text = '';
  isTTY = false;
  readonly #waiting = new Set<() => void>();

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    for (const look of this.#waiting) look();
    done();
  }

  lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }

  /** Everything on the stream as JSON lines; throws where one is none. */
  json(): Record<string, unknown>[] {
    return this.lines().map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Resolves once the text matches. */
  async seen(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve) => {
      const look = () => {
        const found = pattern.exec(this.text);
        if (found === null) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

/** One command line under way, in this process. */
export interface Command {
  stdout: Captured;
  stderr: Captured;
  signal(signal: EndSignal): void;
  exitCode: Promise<number>;
}

export interface Console {
  dataDir: string;
  /** Starts a command line on this console's data folder. */
  run(...argv: string[]): Command;
}

/**
 * A console with a data folder of its own. `app` is what a command opens that finds no running agent; the data folder is held as a real one
 * would be, from its opening until it has finished.
 */
export function openConsole(app: () => App, world: Partial<World> = {}): Console {
  const dataDir = temporaryFolder();
  let held = false;
  return {
    dataDir,
    run: (...argv) => {
      const stdout = new Captured();
      const stderr = new Captured();
      const listeners = new Set<(signal: EndSignal) => void>();
      const exitCode = runCommandLine(argv, {
        stdout,
        stderr,
        env: {},
        platform: 'linux',
        uid: 1000,
        cwd: dataDir,
        clock: Date.now,
        dataDir: (option) => option ?? dataDir,
        signals: {
          on: (listener) => {
            listeners.add(listener);
            return () => listeners.delete(listener);
          },
        },
        keyboard: { present: false, ask: () => Promise.reject(new HearthlendError('CANCELLED')), lines: async () => [] },
        version: '0.1.0',
        uiFolder: join(import.meta.dirname, 'no-such-folder'),
        openApp: async () => {
          if (held) throw new HearthlendError('AGENT_RUNNING', { pid: String(process.pid) });
          held = true;
          const opened = app();
          const release = () => {
            held = false;
          };
          opened.finished.then(release, release);
          return opened;
        },
        operate: async () => Promise.reject(new Error('no coordinator here')),
        escrowDesk: async () => Promise.reject(new Error('no escrow here')),
        shareNetwork: async () => Promise.reject(new Error('no coordinator here')),
        verifyLedger: () => app().handlers['ledger.verify']({}),
        diagnose: async () => ({ parts: [], zip: () => new Uint8Array(0) }),
        addBackend: async () => ({ version: '1.30.0', bytes: 0 }),
        bench: async function* () {
          yield* [];
        },
        ...world,
      });
      return {
        stdout,
        stderr,
        exitCode,
        signal: (signal) => {
          for (const listener of listeners) listener(signal);
        },
      };
    },
  };
}

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-cli-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}
