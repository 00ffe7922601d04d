import { isUnwanted } from '../contract/abort.ts';
import { asHearthlendError, type ErrorCode, HearthlendError } from '../contract/errors.ts';
import { type Frame, FrameDecoder } from '../contract/frame.ts';
import { describeError } from '../contract/messages.ts';
import type { StartedWorker, StartWorker, Usage } from '../contract/worker-host.ts';
import { WORKER_FRAME_LIMITS, WorkerReply, type WorkerRequest } from '../contract/worker-messages.ts';
import { cancellation } from './cancellation.ts';
import { type Asked, AT_ONCE, Pipeline } from './pipeline.ts';
import { StderrTail } from './stderr-tail.ts';

/** From SIGKILL to gone takes milliseconds; what takes this long hangs in the kernel. */
const GONE_MS = 10_000;
/** Within this time a generation that nobody wants ends at its next token, and its worker stays; what takes longer for one is killed. */
const END_MS = 1000;

type Ready = Extract<WorkerReply, { type: 'ready' }>;
type Token = Extract<WorkerReply, { type: 'token' }>;
/** What answers each request, but for `failed`. */
interface Answers {
  load: Extract<WorkerReply, { type: 'loaded' }>;
  unload: Extract<WorkerReply, { type: 'unloaded' }>;
  run: Extract<WorkerReply, { type: 'result' }>;
  generate: Extract<WorkerReply, { type: 'result' }>;
  force: Extract<WorkerReply, { type: 'result' }>;
  open: Extract<WorkerReply, { type: 'result' }>;
  step: Extract<WorkerReply, { type: 'result' }>;
}
const ANSWER_TYPES = {
  load: 'loaded',
  unload: 'unloaded',
  run: 'result',
  generate: 'result',
  force: 'result',
  open: 'result',
  step: 'result',
} as const;

/** Errors of which a worker may say that they happened. All others would be a lie about somebody else. */
const WORKER_CODES = new Set<ErrorCode>([
  'TENSOR_INVALID',
  'TENSOR_TYPE_UNSUPPORTED',
  'MODEL_INVALID',
  'MODEL_VALUE_UNSUPPORTED',
  'MODEL_NOT_GENERATIVE',
  'INPUT_MISSING',
  'INPUT_UNKNOWN',
  'INPUT_MISMATCH',
  'OUTPUT_UNKNOWN',
  'OUTPUT_TOO_LARGE',
  'OUTPUT_NOT_FINITE',
  'RUN_FAILED',
  'BACKEND_REFUSED',
  'WORKER_PROTOCOL',
  'INTERNAL',
]);

/** All but the word that a generation is to end. */
type AnsweredRequest = Extract<WorkerRequest, { type: keyof Answers }>;

interface Pending extends Asked {
  request: AnsweredRequest;
  inputBytes: number;
  /** Largest body of its answer. */
  bodyBytes: number;
  onToken: ((reply: Token) => void) | undefined;
  /** It was told to end, and why. */
  ends: HearthlendError | null;
  resolve: (answer: { reply: WorkerReply; body: Uint8Array }) => void;
}

export interface RequestHooks {
  onToken?: (reply: Token) => void;
  /** Called when the worker comes to it: at once, or when it has answered what it was asked before. */
  onBegin?: () => void;
  /**
   * Aborting it kills the worker, or where it only waits, is told at once, and kills the worker when that comes to it. A generation that is merely
   * unwanted ends at its next token, and the worker goes on.
   */
  signal?: AbortSignal | undefined;
}

/**
 * One worker, from its start until it is gone. Everything that it sends is checked, and at the first thing that is not as agreed it is killed:
 * what runs in there may be a stranger's model that has taken it over.
 */
export class WorkerProcess {
  /** Resolves when it may be used. Rejects with WORKER_START_FAILED, or with what it was killed for. */
  readonly ready: Promise<Ready>;
  /** Resolves, with why, when every process of it is gone and its memory is returned. Never rejects. */
  readonly gone: Promise<HearthlendError>;
  readonly #worker: StartedWorker;
  readonly #decoder = new FrameDecoder(WORKER_FRAME_LIMITS);
  readonly #stderr = new StderrTail();
  #starting: { resolve: (ready: Ready) => void; reject: (error: HearthlendError) => void } | null;
  readonly #pipeline = new Pipeline<Pending>();
  #ending: NodeJS.Timeout | undefined;
  #end: HearthlendError | null = null;

  /** Starts it. @throws WORKER_START_FAILED where the system refuses at once */
  constructor(start: StartWorker, modelsDir: string) {
    try {
      this.#worker = start({ modelsDir });
    } catch (cause) {
      throw new HearthlendError('WORKER_START_FAILED', { detail: (cause as Error).message }, { cause });
    }
    const starting = Promise.withResolvers<Ready>();
    this.ready = starting.promise;
    // Whoever waits for it gets the rejection; nobody has to.
    this.ready.catch(() => undefined);
    this.#starting = starting;
    const { readyMs } = this.#worker;
    const timer = setTimeout(() => this.#fail(this.#startFailed(`it was not ready after ${readyMs / 1000} s`)), readyMs);
    starting.promise.finally(() => clearTimeout(timer)).catch(() => undefined);

    const gone = Promise.withResolvers<HearthlendError>();
    this.gone = gone.promise;
    this.#worker.listen({
      data: (chunk) => this.#received(chunk),
      said: (chunk) => this.#stderr.push(chunk),
      failed: (detail) => this.#fail(this.#ended(detail)),
      gone: (how) => {
        this.#fail(this.#ended(how));
        gone.resolve(this.#end as HearthlendError);
      },
    });
  }

  /** Process id of what was started; undefined where that failed. */
  get pid(): number | undefined {
    return this.#worker.pid;
  }

  /** What it takes in memory before any model is loaded, at most. */
  get runtimeBytes(): number {
    return this.#worker.runtimeBytes;
  }

  /** What all processes of it use; null where this system doesn't tell, or it is gone. */
  usage(): Usage | null {
    return this.#worker.usage();
  }

  /** See StartedWorker. */
  get freeze(): StartedWorker['freeze'] {
    return this.#worker.freeze;
  }

  /** True once it is to end, killed or by itself; it may take a moment until it is gone. */
  get ended(): boolean {
    return this.#end !== null;
  }

  /** Whether it works on a shard. */
  get computes(): boolean {
    const type = this.#pipeline.first?.request.type;
    return type !== undefined && ANSWER_TYPES[type] === 'result';
  }

  /** Whether it works on a shard, and not much waits behind that. */
  get takesAhead(): boolean {
    return this.computes && this.#pipeline.waiting.length < AT_ONCE - 1;
  }

  /** Inputs that it was sent and hasn't come to. */
  get waitingBytes(): number {
    return this.#pipeline.waiting.reduce((sum, { inputBytes }) => sum + inputBytes, 0);
  }

  /** These, and those of what it works on. */
  get unansweredBytes(): number {
    return this.waitingBytes + (this.#pipeline.first?.inputBytes ?? 0);
  }

  /** The last of what it wrote to stderr. */
  get stderr(): string {
    return this.#stderr.text();
  }

  /**
   * Sends a request and waits for its answer. What is sent before another is answered waits in the worker.
   * @throws what the worker says went wrong, or what it was killed for; WORKER_STOPPED where it was killed for something else before it came to this
   */
  async request<T extends keyof Answers>(
    asked: Extract<WorkerRequest, { type: T }>,
    body?: Uint8Array,
    { onToken, onBegin, signal }: RequestHooks = {},
  ): Promise<{ reply: Answers[T]; body: Uint8Array }> {
    if (signal?.aborted) throw cancellation(signal);
    if (this.#end !== null) throw this.#end;
    const { promise, resolve, reject } = Promise.withResolvers<{ reply: WorkerReply; body: Uint8Array }>();
    const request: AnsweredRequest = asked;
    const bodyBytes = 'outputBytes' in request ? request.outputBytes : 0;
    const pending: Pending = {
      ...{ request, bodyBytes, onToken, ends: null, resolve, reject },
      inputBytes: body?.byteLength ?? 0,
      begin: () => onBegin?.(),
    };
    const abort = () => {
      const error = cancellation(signal);
      const runs = this.#pipeline.first === pending;
      if (!runs) this.#pipeline.drop(pending, error);
      if (request.type === 'generate' && signal !== undefined && isUnwanted(signal)) {
        pending.ends = error;
        this.#worker.send({ type: 'end', id: request.id }, undefined);
        if (runs) this.#awaitEnd(error);
      } else if (runs) this.#fail(error);
    };
    signal?.addEventListener('abort', abort, { once: true });
    this.#pipeline.add(pending);
    this.#worker.send(request, body);
    try {
      return (await promise) as { reply: Answers[T]; body: Uint8Array };
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * Kills it, all its processes, and waits until they are gone. What it works on rejects with `error`, what waits in it with WORKER_STOPPED.
   * @param blame 'answered' where what it works on has no part in that, but what it answered before
   * @throws INTERNAL where the system doesn't let go of it
   */
  async kill(error: HearthlendError, blame: 'first' | 'answered' = 'first'): Promise<void> {
    this.#fail(error, blame);
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () =>
        late.reject(new HearthlendError('INTERNAL', { detail: `the worker ${this.pid} is still there ${GONE_MS / 1000} s after SIGKILL` })),
      GONE_MS,
    );
    await Promise.race([this.gone, late.promise]).finally(() => clearTimeout(timer));
  }

  /** The first reason for which it ends counts. */
  #fail(error: HearthlendError, blame: 'first' | 'answered' = 'first'): void {
    if (this.#end !== null) return;
    this.#end = error;
    clearTimeout(this.#ending);
    this.#worker.kill();
    const starting = this.#starting;
    this.#starting = null;
    starting?.reject(error);
    this.#pipeline.end(error, blame);
  }

  /** The first has its answer, and the worker comes to the next. */
  #next(): void {
    clearTimeout(this.#ending);
    const unwanted = this.#pipeline.answered();
    if (unwanted === null) return;
    if (this.#pipeline.first?.ends == null) this.#fail(unwanted);
    else this.#awaitEnd(unwanted);
  }

  /** What it works on was told to end. */
  #awaitEnd(error: HearthlendError): void {
    this.#ending = setTimeout(() => this.#fail(error), END_MS);
  }

  #startFailed(detail: string): HearthlendError {
    const said = this.stderr.trim().split('\n').slice(-5).join(' ').slice(-500);
    return new HearthlendError('WORKER_START_FAILED', { detail: said === '' ? detail : `${detail}; it said: ${said}` });
  }

  #ended(how: string): HearthlendError {
    return this.#starting === null ? new HearthlendError('WORKER_CRASHED', { how }) : this.#startFailed(how);
  }

  #received(chunk: Uint8Array): void {
    if (this.#end !== null) return;
    try {
      for (const frame of this.#decoder.push(chunk)) {
        this.#answered(frame);
        if (this.#end !== null) return;
      }
      // What can't be the start of an allowed answer is not collected to its end.
      const allowed = this.#pipeline.first?.bodyBytes ?? 0;
      if (this.#decoder.pendingBytes > allowed + WORKER_FRAME_LIMITS.headerBytes + 8) this.#tooLarge(allowed);
    } catch (error) {
      this.#fail(asHearthlendError(error));
    }
  }

  #tooLarge(limitBytes: number): never {
    if (limitBytes > 0) throw new HearthlendError('OUTPUT_TOO_LARGE', { limitBytes });
    throw protocol('it sent data that nobody asked for');
  }

  #answered({ header, body }: Frame): void {
    const parsed = WorkerReply.safeParse(header);
    if (!parsed.success) throw protocol('it sent a reply that is none');
    const reply = parsed.data;
    if (reply.type === 'ready') {
      if (this.#starting === null || body.byteLength > 0) throw protocol('it said twice that it is ready');
      this.#starting.resolve(reply);
      this.#starting = null;
      return;
    }
    const pending = this.#pipeline.first;
    if (pending === null) throw protocol(`it sent ${reply.type} when nothing was asked`);
    if (reply.id !== pending.request.id) throw protocol(`it answered request ${reply.id} when ${pending.request.id} was asked`);
    if (body.byteLength > 0 && reply.type !== 'result') throw protocol(`it sent data with ${reply.type}`);
    if (reply.type === 'token') {
      if (pending.onToken === undefined) throw protocol('it sent a token when none was asked for');
      if (pending.ends === null) pending.onToken(reply);
      return;
    }
    if (body.byteLength > pending.bodyBytes) this.#tooLarge(pending.bodyBytes);
    if (reply.type === 'failed') {
      const error = reportedError(reply.code, reply.params);
      pending.reject(error);
      this.#next();
      return;
    }
    if (reply.type !== ANSWER_TYPES[pending.request.type]) throw protocol(`it answered ${pending.request.type} with ${reply.type}`);
    if (pending.ends === null) pending.resolve({ reply, body });
    else pending.reject(pending.ends);
    this.#next();
  }
}

function protocol(detail: string): HearthlendError {
  return new HearthlendError('WORKER_PROTOCOL', { detail });
}

/** An error that the worker reports. @throws WORKER_PROTOCOL where it is not its to report, or can't be put into words */
function reportedError(code: ErrorCode, params: Record<string, string | number>): HearthlendError {
  if (!WORKER_CODES.has(code)) throw protocol(`it reported ${code}`);
  const error = new HearthlendError(code, params);
  try {
    describeError(error);
  } catch {
    throw protocol(`it reported ${code} without what that needs`);
  }
  return error;
}
