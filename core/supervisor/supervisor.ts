import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Provider } from '../contract/backends.ts';
import type { Sha256 } from '../contract/digest.ts';
import { asHearthlendError, type ErrorCode, HearthlendError } from '../contract/errors.ts';
import type { Forcing } from '../contract/forced-draw.ts';
import type { ModelManifest } from '../contract/model.ts';
import type { Shard } from '../contract/shard.ts';
import type { StartWorker, Usage } from '../contract/worker-host.ts';
import { cancellation, orAborted } from './cancellation.ts';
import { afterFailure, backOffMs, type CrashBudget, UNSPENT } from './crash-budget.ts';
import { driverBytes, LoadedWorker } from './loaded-worker.ts';
import { Pace } from './pace.ts';
import { Staging } from './staging.ts';
import { Turns } from './turns.ts';
import { WorkerProcess } from './worker-process.ts';

export interface ShardTask {
  shard: Shard;
  /** The model's verified files, by the manifest's paths. */
  model: { digest: Sha256; manifest: ModelManifest; files: ReadonlyMap<string, string> };
  /** A safetensors blob. */
  inputs: Uint8Array;
  /** Threads where the shard leaves their number open. */
  threads: number;
  /** What computes it. */
  provider: Provider;
  /** Refuse the model where the provider would leave operators of it to the CPU. Default: no. */
  strict?: boolean;
  /** For a generation: the tokens that come with the inputs are checked instead of any made. */
  forced?: Forcing;
  /** Compute it in a worker that nothing else was asked of before: one that is there is ended first. Default: no. */
  alone?: boolean;
}

export interface Computed {
  /** A safetensors blob. */
  outputs: Uint8Array;
  /** SHA-256 of `outputs`. */
  commitment: Sha256;
  /** Time that the model took, in ms. */
  runMs: number;
  /** Time to load the model, in ms; null where it was loaded already. */
  loadMs: number | null;
  tokensMade: number;
  /** Draws that other hardware might have drawn otherwise. */
  nearTies: number;
  /** Resident memory of the worker, all of it, when it was done; null where nobody can tell. */
  residentBytes: number | null;
}

export interface RunHooks {
  /** Called once when its turn has come; until then it waits for others, and its limit of time doesn't run. */
  onBegin?: () => void;
  onToken?: (token: number, index: number) => void;
  /**
   * Aborting it kills the worker, which is the only way to stop a model that runs, or where it waits its turn, takes it out of the line. A
   * HearthlendError as its reason is what `run` rejects with.
   */
  signal?: AbortSignal;
}

type SupervisorState =
  | { name: 'starting' | 'ready' | 'busy' | 'stopped' }
  /** The worker failed several times in a row; until `retryAt` (ms since 1970) it is not started again. */
  | { name: 'backing-off'; retryAt: number; failures: number };

/** Keeps one worker: starts it when there is work, kills it when it misbehaves or is told to, and keeps models loaded within a bound. */
export interface Supervisor {
  /**
   * Computes a shard. Calls take their turn; where the model is loaded, the next is sent to the worker while one computes, and begins the moment that
   * one is answered. Whatever ends the worker before that is none of its doing: another worker computes it then.
   * @throws what is wrong with the shard: TENSOR_*, MODEL_*, INPUT_*, OUTPUT_*, RUN_FAILED, BACKEND_REFUSED; which limit it passed: WORKER_TIMEOUT,
   *   WORKER_OUT_OF_MEMORY, OUTPUT_TOO_LARGE; what happened to the worker: WORKER_START_FAILED, WORKER_PROTOCOL, WORKER_CRASHED,
   *   WORKER_BACKING_OFF, WORKER_STOPPED; CANCELLED; FILE_UNREADABLE, DISK_FULL, DATA_DIR_UNWRITABLE
   */
  run(task: ShardTask, hooks?: RunHooks): Promise<Computed>;
  /** Loads a model ahead of the shard that is likely to need it. Takes its turn; throws as `run` does. */
  warm(task: Omit<ShardTask, 'inputs'>): Promise<void>;
  /** Loaded models, the most recently used first. */
  warmModels(): Sha256[];
  /** Load since the last call, 0 to 1 of the threads that the shard may use; null when nothing runs or it can't be known. */
  load(): number | null;
  /** Whether a worker is there, from its start until it is gone. */
  running(): boolean;
  /** What the worker uses just now, and its process; null where there is none, or this system doesn't tell. */
  usage(): (Usage & { pid: number | undefined }) | null;
  /** Version of the ONNX Runtime in the worker that was started last; null before the first start. */
  onnxruntime(): string | null;
  /** Kills the worker and waits until it is gone and its memory is returned. What runs rejects with WORKER_STOPPED; the next `run` starts anew. */
  stop(): Promise<{ msToGone: number }>;
  /** Share of the time in which it may compute, above 0; 1 at first. */
  setDuty(duty: number): void;
  /** Called with each new state; must not throw. Returns the way to leave. */
  onState(listener: (state: SupervisorState) => void): () => void;
  /** Stops for good, and removes the models given to the worker. */
  dispose(): Promise<void>;
}

export interface SupervisorOptions {
  /** The supervisor's own folder. Its `models` is what the worker sees. */
  workDir: string;
  /** Starts a worker that sees this folder as its models. */
  start: StartWorker;
  /** What loaded models may take together. */
  modelMemoryBytes: number;
  /** Whether a model may be loaded for a shard, asked before each. @throws MODEL_* */
  vet: (model: ShardTask['model'], origin: Shard['origin'], room: { limitBytes: number; freeBytes: number | null }) => Promise<void>;
  /** ms since 1970. */
  clock: () => number;
  log?: (level: 'debug' | 'info' | 'warn' | 'error', event: string, facts?: Record<string, unknown>) => void;
}

export function createSupervisor(options: SupervisorOptions): Supervisor {
  return new OneWorker(options);
}

/** Ends of a worker that are its own fault and spend the crash budget. */
const FAULTS = new Set<ErrorCode>(['WORKER_START_FAILED', 'WORKER_CRASHED', 'WORKER_PROTOCOL']);
const HASH_BYTES = 8 * 2 ** 20;

class OneWorker implements Supervisor {
  readonly #options: SupervisorOptions;
  readonly #staging: Staging;
  readonly #pace = new Pace();
  readonly #listeners = new Set<(state: SupervisorState) => void>();
  #state: SupervisorState = { name: 'stopped' };
  #worker: LoadedWorker | null = null;
  #budget: CrashBudget = UNSPENT;
  readonly #turns: Turns;
  /** Counts calls of stop: work that was asked for before one doesn't start after it. */
  #stops = 0;
  #disposed = false;
  #onnxruntime: string | null = null;
  /** What computes. */
  #computing: ShardTask | null = null;
  /** The worker's processor time when it was last asked for. */
  #measured: { pid: number; cpuMs: number; at: number } | null = null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#staging = new Staging(join(options.workDir, 'models'));
    // What an agent that was killed had given its worker goes now. What can't be removed is told by the next start of a worker.
    this.#turns = new Turns(this.#staging.prepare().catch(() => undefined));
  }

  run(task: ShardTask, given: RunHooks = {}): Promise<Computed> {
    const stops = this.#stops;
    const hooks = { ...given, ...toldOnce(given) };
    return this.#turns.take(async (before, sent) => {
      await orAborted(before.sent, hooks.signal);
      const ahead = await this.#runAhead(task, hooks, stops, sent);
      if (ahead !== null) return ahead;
      await orAborted(before.over, hooks.signal);
      return await this.#runNow(task, hooks, stops, sent);
    });
  }

  /** Sends it to the worker while that computes another. Null where that can't be, or came to nothing through no fault of its own. */
  async #runAhead(task: ShardTask, hooks: RunHooks, stops: number, sent: () => void): Promise<Computed | null> {
    const worker = this.#worker;
    this.#check(stops, hooks.signal);
    if (worker === null || !this.#pace.free || task.alone === true || !worker.takesAhead(task)) return null;
    try {
      return await this.#compute(worker, task, hooks, sent);
    } catch (thrown) {
      const error = asHearthlendError(thrown);
      if (worker.process.ended) await worker.process.kill(error);
      if (error.code !== 'WORKER_STOPPED') throw error;
      this.#check(stops, hooks.signal);
      return null;
    }
  }

  /** With the worker to itself, until it is sent. */
  async #runNow(task: ShardTask, hooks: RunHooks, stops: number, sent: () => void): Promise<Computed> {
    this.#check(stops, hooks.signal);
    const { signal } = hooks;
    const abort = () => {
      this.#pace.interrupt();
      this.#cancel(signal);
    };
    signal?.addEventListener('abort', abort, { once: true });
    let worker: LoadedWorker | null = null;
    try {
      hooks.onBegin?.();
      await this.#pace.rest();
      this.#check(stops, signal);
      if (task.alone === true) await this.#worker?.process.kill(new HearthlendError('WORKER_STOPPED'));
      worker = await this.#started(stops);
      if (signal?.aborted) abort();
      signal?.removeEventListener('abort', abort);
      this.#begin(task);
      return await this.#compute(worker, task, hooks, sent);
    } catch (thrown) {
      const error = asHearthlendError(thrown);
      // Whoever hears that it was cancelled or killed may count on its memory.
      if (worker?.process.ended) await worker.process.kill(error);
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  #check(stops: number, signal: AbortSignal | undefined): void {
    if (this.#disposed || stops !== this.#stops) throw new HearthlendError('WORKER_STOPPED');
    if (signal?.aborted) throw cancellation(signal);
  }

  warm(task: Omit<ShardTask, 'inputs'>): Promise<void> {
    const stops = this.#stops;
    return this.#turns.take(async ({ over }) => {
      await over;
      this.#check(stops, undefined);
      const worker = await this.#started(stops);
      await worker.load(task);
    });
  }

  warmModels(): Sha256[] {
    return [...new Set((this.#worker?.warm ?? []).toReversed().map((session) => session.digest))];
  }

  load(): number | null {
    const pid = this.#worker?.process.pid;
    const usage = this.#worker?.process.usage() ?? null;
    const last = this.#measured;
    this.#measured = pid === undefined || usage === null ? null : { pid, cpuMs: usage.cpuMs, at: performance.now() };
    if (this.#computing === null || this.#measured === null || last === null || last.pid !== pid) return null;
    const { shard, threads } = this.#computing;
    const elapsedMs = (this.#measured.at - last.at) * (shard.session.intraOpThreads || threads);
    return elapsedMs <= 0 ? null : Math.min(1, Math.max(0, (this.#measured.cpuMs - last.cpuMs) / elapsedMs));
  }

  running(): boolean {
    return this.#worker !== null;
  }

  usage(): (Usage & { pid: number | undefined }) | null {
    const process = this.#worker?.process;
    const usage = process?.usage() ?? null;
    return usage === null ? null : { ...usage, pid: process?.pid };
  }

  onnxruntime(): string | null {
    return this.#onnxruntime;
  }

  async stop(): Promise<{ msToGone: number }> {
    this.#stops += 1;
    this.#pace.interrupt();
    const startedAt = performance.now();
    const killed = this.#worker?.process.kill(new HearthlendError('WORKER_STOPPED')) ?? Promise.resolve();
    const [msToGone] = await Promise.all([
      killed.then(() => performance.now() - startedAt),
      // In turn from now on: after what is being stopped, before what may be asked for next.
      this.#turns.take(async ({ over }) => {
        await over;
        await this.#staging.removeAll();
      }),
    ]);
    return { msToGone };
  }

  setDuty(duty: number): void {
    this.#pace.set(duty);
  }

  onState(listener: (state: SupervisorState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.stop();
  }

  async #started(stops: number): Promise<LoadedWorker> {
    if (this.#worker !== null && !this.#worker.process.ended) return this.#worker;
    await this.#worker?.process.gone;
    const { failures, retryAt } = this.#budget;
    const waitMs = retryAt - this.#options.clock();
    // A longer wait than was set means that the clock was put back.
    if (waitMs > 0 && waitMs <= backOffMs(failures)) {
      throw new HearthlendError('WORKER_BACKING_OFF', { count: failures, seconds: Math.ceil(waitMs / 1000) });
    }
    await this.#staging.prepare();
    if (stops !== this.#stops) throw new HearthlendError('WORKER_STOPPED');
    const process = new WorkerProcess(this.#options.start, this.#staging.modelsDir);
    const worker = new LoadedWorker(process, this.#staging, { ...this.#options, pace: this.#pace });
    this.#worker = worker;
    this.#enter({ name: 'starting' });
    void process.gone.then((error) => this.#ended(worker, error));
    const { onnxruntime, node } = await process.ready.catch(async (error) => {
      await process.kill(error);
      throw error;
    });
    this.#onnxruntime = onnxruntime;
    this.#options.log?.('info', 'worker-ready', { pid: process.pid, onnxruntime, node });
    return worker;
  }

  async #compute(worker: LoadedWorker, task: ShardTask, hooks: RunHooks, sent: () => void): Promise<Computed> {
    try {
      const made = await worker.compute(task, {
        ...hooks,
        onSent: sent,
        onBegin: () => {
          this.#begin(task);
          hooks.onBegin?.();
        },
      });
      this.#budget = UNSPENT;
      const commitment = await sha256(made.outputs);
      await this.#retire(worker, task, made.residentBytes);
      return { ...made, commitment };
    } finally {
      if (this.#computing === task) {
        this.#computing = null;
        if (this.#worker === worker) this.#enter({ name: 'ready' });
      }
    }
  }

  #begin(task: ShardTask): void {
    this.#computing = task;
    this.#enter({ name: 'busy' });
  }

  /**
   * ONNX Runtime keeps what a run needed at its peak, and the allocator what was freed. Ending the process gives all of it back; what was sent to it
   * already is computed first, and nothing more.
   */
  async #retire(worker: LoadedWorker, { provider }: ShardTask, residentBytes: number | null): Promise<void> {
    const keepsBytes = this.#options.modelMemoryBytes + worker.process.runtimeBytes + driverBytes(provider);
    worker.retiring = residentBytes !== null && residentBytes > keepsBytes;
    if (!worker.retiring || worker.process.computes) return;
    this.#options.log?.('info', 'worker-retired', { residentBytes });
    await worker.process.kill(new HearthlendError('WORKER_STOPPED'));
  }

  #cancel(signal: AbortSignal | undefined): void {
    const process = this.#worker?.process;
    process?.kill(cancellation(signal)).catch((error) => this.#options.log?.('error', 'worker-not-gone', { error: String(error) }));
  }

  #ended(worker: LoadedWorker, error: HearthlendError): void {
    if (this.#worker === worker) this.#worker = null;
    const now = this.#options.clock();
    const fault = FAULTS.has(error.code);
    if (fault) this.#budget = afterFailure(this.#budget, now);
    const { failures, retryAt } = this.#budget;
    const said = fault && !worker.knowsStrangers ? { stderr: worker.process.stderr } : {};
    this.#options.log?.(fault ? 'warn' : 'info', 'worker-ended', { code: error.code, ...error.params, ...said });
    this.#enter(fault && retryAt > now ? { name: 'backing-off', retryAt, failures } : { name: 'stopped' });
  }

  #enter(state: SupervisorState): void {
    if (state.name === this.#state.name && state.name !== 'backing-off') return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}

/** The same hooks, but nothing is told a second time where a shard is computed anew. */
export function toldOnce({ onBegin, onToken }: RunHooks): Required<Pick<RunHooks, 'onBegin' | 'onToken'>> {
  let begun = false;
  let told = 0;
  return {
    onBegin() {
      if (!begun) onBegin?.();
      begun = true;
    },
    onToken(token, index) {
      if (index < told) return;
      told = index + 1;
      onToken?.(token, index);
    },
  };
}

/** In pieces, so that the agent stays awake while it hashes gigabytes. */
async function sha256(bytes: Uint8Array): Promise<Sha256> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.byteLength; at += HASH_BYTES) {
    if (at > 0) await setImmediate();
    hash.update(bytes.subarray(at, at + HASH_BYTES));
  }
  return hash.digest('hex');
}
