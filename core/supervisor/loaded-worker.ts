import { CPU, type Provider } from '../contract/backends.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { Forcing } from '../contract/forced-draw.ts';
import type { GenerateShard, SessionOptions } from '../contract/shard.ts';
import { checkFinite, checkOutputs, checkTokens } from './answer.ts';
import { freeMemoryBytes } from './free-memory.ts';
import type { Pace } from './pace.ts';
import type { Staging } from './staging.ts';
import type { Computed, RunHooks, ShardTask, SupervisorOptions } from './supervisor.ts';
import { sessionKey, sessionsToUnload, type WarmSession } from './warm-models.ts';
import type { RequestHooks, WorkerProcess } from './worker-process.ts';

/** How often the worker's memory is looked at while it works. It can't look itself: the model blocks it. */
const MEMORY_SAMPLE_MS = 50;
const UNLOAD_MS = 10_000;
/** More inputs are not sent ahead of their turn: until then they take memory twice, in the worker that reads them and in the agent. */
const AHEAD_BYTES = 16 * 2 ** 20;
/** How often a worker holds what it has read and not come to: as what came from the pipe, and as a body put together from that. */
const COPIES_READ = 2;
/** Each loaded model has as many as it computes on, on a large machine some hundred; nobody has use for so many. */
const MAX_THREADS = 8192;

/** What a check of claimed tokens gives: 40 bytes for each, of a million at most. */
const FORCED_OUTPUTS = ['drawn', 'shift', 'low', 'high', 'logit'];
const FORCED_OUTPUT_BYTES = 2 ** 26;

interface LoadedModel extends WarmSession {
  outputs: string[];
}

/**
 * What a driver takes of the machine's own memory, on top of models and work, once a GPU is used: CUDA's context and the libraries of its
 * kernels come to more than a gigabyte.
 */
const DRIVER_BYTES = 2 * 2 ** 30;

export function driverBytes({ name }: Provider): number {
  return name === CPU.name ? 0 : DRIVER_BYTES;
}

/** What one shard's computing tells. */
interface ComputeHooks {
  onToken?: RunHooks['onToken'];
  /** It was sent, and what comes next may be sent behind it. */
  onSent?: () => void;
  /** The worker comes to it. */
  onBegin?: () => void;
  signal?: AbortSignal | undefined;
}

/** A worker and the models that are loaded in it. */
export class LoadedWorker {
  readonly process: WorkerProcess;
  /** The most recently used last. */
  warm: LoadedModel[] = [];
  /** Whether it ever computed for a stranger: what it writes to stderr then may hold their data. */
  knowsStrangers = false;
  /** It is to end as soon as it has answered what it was asked. */
  retiring = false;
  readonly #staging: Staging;
  readonly #modelMemoryBytes: number;
  readonly #vet: SupervisorOptions['vet'];
  readonly #pace: Pace;
  #requests = 0;
  /** Resident memory when it last answered; null while it isn't known. */
  #residentBytes: number | null = null;

  constructor(
    process: WorkerProcess,
    staging: Staging,
    { modelMemoryBytes, vet, pace }: Pick<SupervisorOptions, 'modelMemoryBytes' | 'vet'> & { pace: Pace },
  ) {
    this.process = process;
    this.#staging = staging;
    this.#modelMemoryBytes = modelMemoryBytes;
    this.#vet = vet;
    this.#pace = pace;
  }

  /** Whether this can be sent while another computes: nothing is to be loaded for it, and it takes little memory until its turn. */
  takesAhead({ shard, model, inputs, threads, provider }: ShardTask): boolean {
    const key = sessionKey(model.digest, sessionOf(shard, threads), provider);
    const fits = this.process.waitingBytes + inputs.byteLength <= AHEAD_BYTES;
    return !this.retiring && this.process.takesAhead && fits && this.warm.some((each) => each.key === key);
  }

  /** Loads the model where it isn't, computes, and checks the answer. Kills the worker where a limit is passed or the answer is no answer. */
  async compute(task: ShardTask, { onToken, onSent, onBegin, signal }: ComputeHooks): Promise<Omit<Computed, 'commitment'>> {
    const { shard } = task;
    this.knowsStrangers ||= shard.origin === 'network';
    const { model, session, loadMs } = await this.load(task, signal);
    const sent: number[] = [];
    const sentAt = performance.now();
    let frozenBeforeMs = this.#pace.frozenMs;
    const { reply, body } = await this.#within(task, model.bytes, (within) => {
      const { digest, provider } = model;
      const base = { id: this.#nextId(), model: digest, session, provider, outputBytes: shard.limits.outputBytes };
      const hooks: RequestHooks = {
        signal,
        onBegin: () => {
          frozenBeforeMs = this.#pace.frozenMs;
          within();
          onBegin?.();
        },
      };
      const tokens = ({ index, token }: { index: number; token: number }) => {
        if (index !== sent.length || (shard.kind === 'onnx.generate' && index >= shard.maxNewTokens)) {
          throw new HearthlendError('WORKER_PROTOCOL', { detail: `it sent token ${index} when ${sent.length} was next` });
        }
        sent.push(token);
        onToken?.(token, index);
      };
      const ask = () => {
        if (shard.kind === 'onnx.run')
          return this.process.request<'run'>({ ...base, type: 'run', outputs: shard.outputs }, task.inputs, hooks);
        if (task.forced !== undefined)
          return this.process.request<'force'>({ ...base, ...forcing(shard, task.forced) }, task.inputs, hooks);
        return this.process.request<'generate'>({ ...base, ...generation(shard) }, task.inputs, { ...hooks, onToken: tokens });
      };
      const answer = ask();
      onSent?.();
      return answer;
    });
    const frozenMs = this.#pace.frozenMs - frozenBeforeMs;
    const waitedMs = performance.now() - sentAt - frozenMs;
    const residentBytes = reply.residentBytes ?? this.#measure();
    this.#residentBytes = residentBytes;
    try {
      if (reply.tokensMade !== sent.length) throw new HearthlendError('WORKER_PROTOCOL', { detail: 'it counts other tokens than it sent' });
      if (task.forced !== undefined) checkOutputs(body, FORCED_OUTPUTS);
      else if (shard.kind === 'onnx.generate') checkTokens(body, sent);
      else checkOutputs(body, shard.outputs.length === 0 ? model.outputs : [...new Set(shard.outputs)]);
    } catch (error) {
      await this.process.kill(error as HearthlendError, 'answered');
      throw error;
    }
    // A token that no widening makes the drawn one is infinitely far from it.
    if (shard.nonFinite === 'reject' && task.forced === undefined) await checkFinite(body);
    const { tokensMade, nearTies } = reply;
    // Its own clock is finer than ours; but it can't have computed for longer than we waited.
    return {
      outputs: ownBytes(body),
      runMs: Math.max(0, Math.min(reply.runMs - frozenMs, waitedMs)),
      loadMs,
      tokensMade,
      nearTies,
      residentBytes,
    };
  }

  /** Loads a stage and begins with it. Gives the time that loading took, in ms. @param positions tokens that will go through it, at most */
  async openStage(task: ShardTask, positions: number): Promise<number | null> {
    const { shard } = task;
    if (shard.kind !== 'onnx.generate') throw new HearthlendError('WORKER_PROTOCOL', { detail: 'a run has no stages with a cache' });
    this.knowsStrangers ||= shard.origin === 'network';
    const { model, session, loadMs } = await this.load(task);
    const { digest, provider } = model;
    const about = { id: this.#nextId(), model: digest, session, provider };
    const { decoder } = shard;
    const opening = { ...about, type: 'open', decoder, positions } as const;
    await this.#within(task, model.bytes, (onBegin) => this.process.request<'open'>(opening, undefined, { onBegin }));
    return loadMs;
  }

  /** One step of the stage that was opened. Its limit of memory counts what the cache has grown to since. */
  async step(
    task: ShardTask,
    tokens: number,
    inputs: Uint8Array,
    signal: AbortSignal,
  ): Promise<Pick<Computed, 'outputs' | 'runMs' | 'residentBytes'>> {
    const { outputBytes } = task.shard.limits;
    const startedAt = performance.now();
    const asked = { id: this.#nextId(), type: 'step', tokens, outputBytes } as const;
    const { reply, body } = await this.#within(task, 0, (onBegin) => this.process.request<'step'>(asked, inputs, { onBegin, signal }));
    const runMs = Math.max(0, Math.min(reply.runMs, performance.now() - startedAt));
    return { outputs: ownBytes(body), runMs, residentBytes: reply.residentBytes };
  }

  /** Loads the task's model under its session's options, where it isn't; for whom it is, counts each time. */
  async load(
    task: Omit<ShardTask, 'inputs'>,
    signal?: AbortSignal,
  ): Promise<{ model: LoadedModel; session: SessionOptions; loadMs: number | null }> {
    const { shard } = task;
    const session = sessionOf(shard, task.threads);
    // Also for one that is loaded already: what the owner's own work may use, a stranger's may not.
    const loaded = this.warm.some(({ key }) => key === sessionKey(task.model.digest, session, task.provider));
    await this.#vet(task.model, shard.origin, this.#room(task, loaded));
    return { ...(await this.#loaded(task, session, signal)), session };
  }

  /**
   * What is free is asked for the CPU alone: a card's share is the limit that this worker was given.
   * @param loaded what it needs it has then, and asking the system costs 0.3 ms
   */
  #room({ shard: { limits }, provider }: Pick<ShardTask, 'shard' | 'provider'>, loaded: boolean) {
    const free = loaded || provider.name !== 'cpu' ? null : freeMemoryBytes();
    return {
      limitBytes: Math.min(this.#modelMemoryBytes, limits.memoryBytes),
      freeBytes: free === null ? null : free + (this.#measure() ?? 0),
    };
  }

  async #loaded(
    task: Omit<ShardTask, 'inputs'>,
    session: SessionOptions,
    signal: AbortSignal | undefined,
  ): Promise<{ model: LoadedModel; loadMs: number | null }> {
    const { digest, manifest, files } = task.model;
    const { provider } = task;
    const key = sessionKey(digest, session, provider);
    const loaded = this.warm.find((each) => each.key === key);
    if (loaded !== undefined) {
      this.warm = [...this.warm.filter((each) => each !== loaded), loaded];
      return { model: loaded, loadMs: null };
    }
    const fileBytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
    if (fileBytes > this.#modelMemoryBytes) {
      throw new HearthlendError('MODEL_OVER_MEMORY', { bytes: fileBytes, limitBytes: this.#modelMemoryBytes });
    }
    await this.#makeRoom(fileBytes);
    await this.#staging.add(digest, manifest, files);
    this.#residentBytes = this.#measure() ?? this.#residentBytes;
    const before = this.#residentBytes;
    try {
      const { reply } = await this.#within(task, 0, (within) =>
        this.process.request<'load'>(
          {
            ...{ type: 'load', id: this.#nextId(), model: digest, session, provider },
            entry: manifest.entry,
            strict: task.strict ?? false,
          },
          undefined,
          { onBegin: within, signal },
        ),
      );
      this.#residentBytes = this.#measure() ?? reply.residentBytes;
      const grownBytes = before === null || this.#residentBytes === null ? 0 : this.#residentBytes - before;
      // On a GPU it lies in the card's memory; what grew here is the driver.
      const bytes = provider.name === CPU.name ? Math.max(fileBytes, grownBytes) : fileBytes;
      await this.#makeRoom(bytes);
      const model = { key, digest, session, provider, bytes, outputs: reply.outputs.map((output) => output.name) };
      this.warm.push(model);
      return { model, loadMs: reply.loadMs };
    } catch (error) {
      if (!this.warm.some((each) => each.digest === digest)) await this.#staging.remove(digest);
      throw error;
    }
  }

  async #makeRoom(bytes: number): Promise<void> {
    for (const { key, digest, session, provider } of sessionsToUnload(this.warm, bytes, this.#modelMemoryBytes)) {
      const late = new HearthlendError('WORKER_PROTOCOL', { detail: 'it does not unload a model' });
      const timer = setTimeout(() => this.#kill(late), UNLOAD_MS);
      await this.process
        .request<'unload'>({ type: 'unload', id: this.#nextId(), model: digest, session, provider })
        .finally(() => clearTimeout(timer));
      this.warm = this.warm.filter((each) => each.key !== key);
      if (!this.warm.some((each) => each.digest === digest)) await this.#staging.remove(digest);
    }
  }

  /**
   * Asks the worker for something within the shard's limits of time and memory, from when the worker comes to it. Memory is the model's own and what
   * the worker grows by meanwhile: what other models keep is not this shard's, nor are inputs that wait there.
   * @param ask calls `begin` then
   */
  async #within<T extends { reply: { residentBytes: number | null } }>(
    { shard, provider }: Pick<ShardTask, 'shard' | 'provider'>,
    modelBytes: number,
    ask: (begin: () => void) => Promise<T>,
  ): Promise<T> {
    const { wallMs: limitMs, memoryBytes: limitBytes } = shard.limits;
    const over = (residentBytes: number | null, othersBytes: number) => {
      const allowedBytes = limitBytes + driverBytes(provider) + COPIES_READ * othersBytes;
      const before = this.#residentBytes;
      return before !== null && residentBytes !== null && residentBytes - before + modelBytes > allowedBytes;
    };
    const outOfMemory = () => new HearthlendError('WORKER_OUT_OF_MEMORY', { limitBytes });
    let timer: NodeJS.Timeout | undefined;
    let sampler: NodeJS.Timeout | undefined;
    let ended: () => void = () => undefined;
    const begin = () => {
      ended = this.#pace.begin(this.process.freeze);
      const beganAt = performance.now();
      const frozenBeforeMs = this.#pace.frozenMs;
      // Time in which it was frozen is none of its own.
      const expire = (): void => {
        const leftMs = limitMs + this.#pace.frozenMs - frozenBeforeMs - (performance.now() - beganAt);
        if (leftMs > 1) timer = setTimeout(expire, leftMs);
        else this.#kill(new HearthlendError('WORKER_TIMEOUT', { limitMs }));
      };
      timer = setTimeout(expire, limitMs);
      sampler = setInterval(() => {
        const usage = this.process.usage();
        const threads = usage?.threads ?? 0;
        if (threads > MAX_THREADS) this.#kill(new HearthlendError('WORKER_PROTOCOL', { detail: `it runs ${threads} threads` }));
        else if (over(usage?.residentBytes ?? null, this.process.waitingBytes)) this.#kill(outOfMemory());
      }, MEMORY_SAMPLE_MS);
    };
    try {
      const answer = await ask(begin);
      if (over(answer.reply.residentBytes ?? this.#measure(), this.process.unansweredBytes)) {
        const error = outOfMemory();
        await this.process.kill(error, 'answered');
        throw error;
      }
      return answer;
    } catch (thrown) {
      if (!isRefusedMemory(thrown)) throw thrown;
      // The session would go on asking for as much: measured, 945 MB for the next run's 16.
      const error = outOfMemory();
      await this.process.kill(error, 'answered');
      throw error;
    } finally {
      ended();
      clearTimeout(timer);
      clearInterval(sampler);
    }
  }

  #measure(): number | null {
    return this.process.usage()?.residentBytes ?? null;
  }

  /** What was asked for rejects with `error` at once; whoever asked waits until the worker is gone. */
  #kill(error: HearthlendError): void {
    this.process.kill(error).catch(() => undefined);
  }

  #nextId(): number {
    this.#requests += 1;
    return this.#requests;
  }
}

function sessionOf({ session }: ShardTask['shard'], threads: number): SessionOptions {
  return { ...session, intraOpThreads: session.intraOpThreads || threads };
}

function forcing({ decoder, sampling }: GenerateShard, { draw, logit, stepwise = false }: Forcing) {
  return { type: 'force', decoder, sampling, tolerance: { draw, logit }, stepwise, outputBytes: FORCED_OUTPUT_BYTES } as const;
}

function generation({ decoder, maxNewTokens, stopTokens, sampling, nonFinite }: GenerateShard) {
  return { type: 'generate', decoder, maxNewTokens, stopTokens, sampling, finite: nonFinite === 'reject' } as const;
}

/** Whether the system had less memory than the model asked for. Sources: ONNX Runtime's BFCArena, C++'s own exception. */
function isRefusedMemory(thrown: unknown): boolean {
  if (!(thrown instanceof HearthlendError) || (thrown.code !== 'RUN_FAILED' && thrown.code !== 'MODEL_INVALID')) return false;
  return /Failed to allocate memory|bad_alloc/.test(String(thrown.params.detail));
}

/** The same bytes as a plain Uint8Array that keeps no larger buffer alive: small ones come as a view into what the pipe was read into. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  const { buffer, byteOffset, byteLength } = bytes;
  return byteLength === buffer.byteLength ? new Uint8Array(buffer, byteOffset, byteLength) : new Uint8Array(bytes);
}
