import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { HearthlendError } from '../../core/contract/errors.ts';
import { writeSecret } from '../files.ts';
import type { Log } from '../log.ts';
import { accountUpdate } from './claims.ts';
import { serverConfig } from './config.ts';
import { connectNats } from './connection.ts';
import type { NatsLogin, ServerJwts } from './keys.ts';
import { restartAfter } from './restarts.ts';

export interface NatsServerOptions {
  /** The program. */
  path: string;
  /** A folder of its own: config, process id, JetStream. */
  folder: string;
  host: string;
  /** 0: the system chooses, and it stays that. */
  port: number;
  /** Null: no WebSockets. */
  websocketPort: number | null;
  tls: { certificate: string; key: string };
  maxConnections: number;
  /** Asked before each start and change: revocations change. */
  jwts(): Promise<ServerJwts>;
  /** The user that may tell it of a change. */
  updating: NatsLogin;
  ca: string;
  log: Log;
}

/** A nats-server that runs as long as we do, and is started again where it ends by itself. */
export interface NatsServer {
  readonly port: number;
  readonly websocketPort: number | null;
  readonly pid: number | undefined;
  /** Has it take the workers' account anew: those that are revoked are cut off, nobody else is. */
  update(): Promise<void>;
  /**
   * Has it take its certificates anew. Clients that name their key at connecting, as the library for Node does, are cut off by that and come back:
   * nats-server issue 8606, mended after 2.14.1.
   */
  reload(): Promise<void>;
  /** Rejects with NATS_FAILED once it can't be kept running. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 15_000;
const GONE_WITHIN_MS = 5000;
const KEPT_LINES = 20;
/** What of its log is in ours: trouble, clients that don't read, and that it has taken what changed. */
const NOTABLE = /^\[(ERR|FTL|WRN)\]|Slow Consumer|Reloaded server configuration/;

/** Starts nats-server and waits until it takes connections. @throws NATS_FAILED, PORT_IN_USE, DISK_FULL, DATA_DIR_UNWRITABLE */
export async function runNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const { folder, log } = options;
  const configPath = join(folder, 'nats.conf');
  const pidFile = join(folder, 'nats.pid');
  const bound = { port: options.port, websocketPort: options.websocketPort };
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  const crashes: number[] = [];
  let lines: string[] = [];
  let child: ChildProcess | undefined;
  let waiting: NodeJS.Timeout | undefined;
  let stopping = false;

  async function writeConfig(): Promise<void> {
    const any = (port: number) => (port === 0 ? -1 : port);
    const config = serverConfig({
      ...{ host: options.host, tls: options.tls, maxConnections: options.maxConnections, pidFile },
      port: any(bound.port),
      websocketPort: bound.websocketPort === null ? null : any(bound.websocketPort),
      jetstreamFolder: join(folder, 'jetstream'),
      jwts: await options.jwts(),
    });
    writeSecret(configPath, config);
  }

  /** The process, once it takes connections. */
  async function start(): Promise<void> {
    await writeConfig();
    if (stopping) return;
    lines = [];
    const started = spawn(options.path, ['--config', configPath], { stdio: ['ignore', 'ignore', 'pipe'], windowsHide: true });
    child = started;
    const ready = Promise.withResolvers<void>();
    const broken = () => ready.reject(startError(lines, bound.port));
    const timer = setTimeout(broken, READY_WITHIN_MS);
    started.once('error', broken);
    started.once('exit', broken);
    createInterface({ input: started.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      const text = line.replace(/^\[\d+\] \S+ \S+ /, '');
      lines = [...lines, text].slice(-KEPT_LINES);
      if (NOTABLE.test(text)) log(text.startsWith('[INF]') ? 'info' : 'warn', 'nats-server', { line: text.slice(0, 500) });
      const [, websocket, port] = /Listening for (client connections|websocket clients) on .*:(\d+)$/.exec(text) ?? [];
      if (websocket === 'client connections') bound.port = Number(port);
      if (websocket === 'websocket clients') bound.websocketPort = Number(port);
      if (text.endsWith('Server is ready')) ready.resolve();
    });
    try {
      await ready.promise;
    } catch (thrown) {
      await end(started);
      throw thrown;
    } finally {
      clearTimeout(timer);
      started.off('exit', broken);
    }
    if (isRunning(started)) started.once('exit', crashed);
    else crashed();
  }

  function crashed(): void {
    if (stopping) return;
    crashes.push(performance.now());
    const wait = restartAfter(crashes);
    log('error', 'nats-server-ended', { detail: lines.at(-1) ?? '', again: wait ?? 'no' });
    if (wait === null) {
      failure.reject(startError(lines, bound.port));
      return;
    }
    waiting = setTimeout(() => {
      start().catch((thrown: unknown) => {
        log('error', 'nats-server-not-started', { detail: (thrown as Error).message });
        crashed();
      });
    }, wait);
  }

  async function end(process: ChildProcess): Promise<void> {
    if (!isRunning(process)) return;
    const gone = once(process, 'exit');
    process.kill('SIGTERM');
    const hurry = setTimeout(() => process.kill('SIGKILL'), GONE_WITHIN_MS);
    await gone;
    clearTimeout(hurry);
  }

  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await endLeftBehind(pidFile, configPath, log);
  await start();
  return {
    get port() {
      return bound.port;
    },
    get websocketPort() {
      return bound.websocketPort;
    },
    get pid() {
      return child?.pid;
    },
    async update() {
      if (!isRunning(child) || stopping) return;
      const { workersAccount, accounts } = await options.jwts();
      const address = { servers: [`tls://${localHost(options.host)}:${bound.port}`], ca: options.ca };
      const connection = await connectNats(address, options.updating, 'updating');
      connection.publish(accountUpdate(workersAccount), accounts[workersAccount]);
      await connection.drain();
    },
    async reload() {
      const running = child;
      if (!isRunning(running) || stopping) return;
      await writeConfig();
      // Windows has no such signal: there it is started anew, and its clients come back by themselves.
      if (process.platform !== 'win32') running.kill('SIGHUP');
      else {
        running.off('exit', crashed);
        await end(running);
        await start();
      }
    },
    failed: failure.promise,
    async stop() {
      stopping = true;
      clearTimeout(waiting);
      if (child !== undefined) await end(child);
      rmSync(pidFile, { force: true });
    },
  };
}

/** Where a server that listens on `host` is to be found on its own machine. */
export function localHost(host: string): string {
  return host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
}

function isRunning(child: ChildProcess | undefined): child is ChildProcess {
  return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

function startError(lines: readonly string[], port: number): HearthlendError {
  const fatal = lines.findLast((line) => /^\[(FTL|ERR)\]/.test(line)) ?? lines.at(-1) ?? 'it said nothing';
  if (/address already in use|Only one usage of each socket address/.test(fatal)) {
    return new HearthlendError('PORT_IN_USE', { port: /:(\d+): bind/.exec(fatal)?.[1] ?? String(port) });
  }
  return new HearthlendError('NATS_FAILED', { detail: fatal.slice(0, 500) });
}

/** A coordinator that was killed leaves its server behind: that one ends now, since it is not ours to watch. */
async function endLeftBehind(pidFile: string, configPath: string, log: Log): Promise<void> {
  const pid = Number.parseInt(readOr(pidFile, ''), 10);
  // On a system without /proc a process id alone proves nothing: the port is found taken then, and said to be.
  const ours = () => Number.isSafeInteger(pid) && pid > 1 && readOr(`/proc/${pid}/cmdline`, '').split('\0').includes(configPath);
  if (!ours()) return;
  log('warn', 'nats-server-left-behind', { pid: String(pid) });
  process.kill(pid, 'SIGTERM');
  const until = performance.now() + GONE_WITHIN_MS;
  while (ours()) {
    if (performance.now() > until) process.kill(pid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function readOr(path: string, other: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return other;
  }
}
