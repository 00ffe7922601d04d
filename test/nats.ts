import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findNatsServer } from '../coordinator/nats/program.ts';

/** A nats-server of one test file, on a port of its own and a folder of its own; the system's own one is never touched. */
export interface TestNats {
  readonly port: number;
  /** `nats://127.0.0.1:<port>` */
  readonly url: string;
  readonly folder: string;
  /** The process that runs now: to be paused, say. */
  readonly pid: number;
  /** Everything that it has logged since the beginning. */
  log(): string;
  /** `kill -9`, or with `SIGTERM` its own way out; resolves when it is gone. The folder stays, for `restart`. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and folder, with the same config unless given another. */
  restart(config?: string): Promise<void>;
  /** Kills it and removes its folder. */
  stop(): Promise<void>;
}

export interface TestNatsOptions {
  /** More lines of nats-server's config file: accounts, limits, an operator. */
  config?: string;
  /** JetStream with a store in the test's folder; true where left out. */
  jetstream?: boolean;
}

/** Why a test that needs nats-server can't run here; null where it can: `context.skip(natsMissing() !== null, natsMissing() ?? '')`. */
export function natsMissing(): string | null {
  try {
    findNatsServer(process.env, process.platform);
    return null;
  } catch {
    return 'nats-server is not installed';
  }
}

/** Starts nats-server and waits until it takes connections. @throws with its own log where it doesn't start */
export async function startNats({ config = '', jetstream = true }: TestNatsOptions = {}): Promise<TestNats> {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-nats-'));
  const path = join(folder, 'nats.conf');
  let lines = '';
  let child: ChildProcess;
  let port = -1;
  let latest = config;

  async function start(): Promise<void> {
    const store = jetstream ? `jetstream { store_dir: ${JSON.stringify(join(folder, 'jetstream'))} }\n` : '';
    // -1: the system chooses a free one; it is kept from then on.
    writeFileSync(path, `host: "127.0.0.1"\nport: ${port}\n${store}${latest}\n`);
    child = spawn(findNatsServer(process.env, process.platform), ['--config', path], { stdio: ['ignore', 'ignore', 'pipe'] });
    const ready = Promise.withResolvers<void>();
    child.once('error', ready.reject);
    child.once('exit', () => ready.reject(new Error(`nats-server ended:\n${lines}`)));
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      lines += `${line}\n`;
      const listening = /Listening for client connections on .*:(\d+)$/.exec(line);
      if (listening !== null) port = Number(listening[1]);
      if (line.endsWith('Server is ready')) ready.resolve();
    });
    await ready.promise;
  }

  async function kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  try {
    await start();
  } catch (thrown) {
    rmSync(folder, { recursive: true, force: true });
    throw thrown;
  }
  return {
    get port() {
      return port;
    },
    get url() {
      return `nats://127.0.0.1:${port}`;
    },
    folder,
    get pid() {
      return child.pid as number;
    },
    log: () => lines,
    kill,
    async restart(config = latest) {
      await kill();
      latest = config;
      await start();
    },
    async stop() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
