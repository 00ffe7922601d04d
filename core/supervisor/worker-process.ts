import { constants } from 'node:os';
import { asHearthlendError, type ErrorCode, HearthlendError } from '../contract/errors.ts';
import { encodeFramePrefix, type Frame, FrameDecoder } from '../contract/frame.ts';
import { describeError } from '../contract/messages.ts';
import { WORKER_FRAME_LIMITS, WorkerReply, type WorkerRequest } from '../contract/worker-messages.ts';
import type { Launch } from './sandbox/plan.ts';
import { type LaunchedProcess, spawnLaunch } from './sandbox/spawn.ts';
import { StderrTail } from './stderr-tail.ts';

const READY_MS = 10_000;
/** From SIGKILL to gone takes milliseconds; what takes this long hangs in the kernel. */
const GONE_MS = 10_000;

type Ready = Extract<WorkerReply, { type: 'ready' }>;
type Token = Extract<WorkerReply, { type: 'token' }>;
/** What answers each request, but for `failed`. */
interface Answers {
  load: Extract<WorkerReply, { type: 'loaded' }>;
  unload: Extract<WorkerReply, { type: 'unloaded' }>;
  run: Extract<WorkerReply, { type: 'result' }>;
  generate: Extract<WorkerReply, { type: 'result' }>;
}
const ANSWER_TYPES = { load: 'loaded', unload: 'unloaded', run: 'result', generate: 'result' } as const;

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
  'RUN_FAILED',
  'WORKER_PROTOCOL',
  'INTERNAL',
]);

interface Pending {
  request: WorkerRequest;
  /** Largest body of its answer. */
  bodyBytes: number;
  onToken: ((reply: Token) => void) | undefined;
  resolve: (answer: { reply: WorkerReply; body: Uint8Array }) => void;
  reject: (error: HearthlendError) => void;
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
  readonly #child: LaunchedProcess;
  readonly #decoder = new FrameDecoder(WORKER_FRAME_LIMITS);
  readonly #stderr = new StderrTail();
  #starting: { resolve: (ready: Ready) => void; reject: (error: HearthlendError) => void } | null;
  #pending: Pending | null = null;
  #end: HearthlendError | null = null;

  /** Starts it. `launch.inside.modelsDir` becomes its one argument. @throws WORKER_START_FAILED where the system refuses at once */
  constructor(launch: Launch) {
    try {
      this.#child = spawnLaunch({ ...launch, args: [...launch.args, launch.inside.modelsDir] });
    } catch (cause) {
      throw new HearthlendError('WORKER_START_FAILED', { detail: (cause as Error).message }, { cause });
    }
    const starting = Promise.withResolvers<Ready>();
    this.ready = starting.promise;
    // Whoever waits for it gets the rejection; nobody has to.
    this.ready.catch(() => undefined);
    this.#starting = starting;
    const timer = setTimeout(() => this.#fail(this.#startFailed(`it was not ready after ${READY_MS / 1000} s`)), READY_MS);
    starting.promise.finally(() => clearTimeout(timer)).catch(() => undefined);

    const gone = Promise.withResolvers<HearthlendError>();
    this.gone = gone.promise;
    this.#child.stdout.on('data', (chunk: Uint8Array) => this.#received(chunk));
    this.#child.stderr.on('data', (chunk: Uint8Array) => this.#stderr.push(chunk));
    // A worker that ends while we write says why by its exit.
    this.#child.stdin.on('error', () => this.#child.stdin.destroy());
    this.#child.once('error', (error) => this.#fail(this.#startFailed(error.message)));
    // 'close' comes when the last process that holds its pipes is gone, and a process lets go of its memory before its files.
    this.#child.once('close', (code, signal) => {
      this.#fail(this.#exited(code, signal));
      gone.resolve(this.#end as HearthlendError);
    });
  }

  /** Process id of what was started; undefined where that failed. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** True once it is to end, killed or by itself; it may take a moment until it is gone. */
  get ended(): boolean {
    return this.#end !== null;
  }

  /** The last of what it wrote to stderr. */
  get stderr(): string {
    return this.#stderr.text();
  }

  /**
   * Sends a request and waits for its answer. One at a time.
   * @throws what the worker says went wrong, or what it was killed for
   */
  request<T extends WorkerRequest['type']>(
    request: Extract<WorkerRequest, { type: T }>,
    body?: Uint8Array,
    onToken?: (reply: Token) => void,
  ): Promise<{ reply: Answers[T]; body: Uint8Array }> {
    if (this.#end !== null) return Promise.reject(this.#end);
    const { promise, resolve, reject } = Promise.withResolvers<{ reply: WorkerReply; body: Uint8Array }>();
    const sent: WorkerRequest = request;
    const bodyBytes = 'outputBytes' in sent ? sent.outputBytes : 0;
    this.#pending = { request, bodyBytes, onToken, resolve, reject };
    const { stdin } = this.#child;
    stdin.cork();
    stdin.write(encodeFramePrefix(request, body?.byteLength ?? 0, WORKER_FRAME_LIMITS));
    if (body !== undefined) stdin.write(body);
    stdin.uncork();
    return promise as Promise<{ reply: Answers[T]; body: Uint8Array }>;
  }

  /**
   * Kills it, all its processes, and waits until they are gone. What was asked of it rejects with `error`.
   * @throws INTERNAL where the system doesn't let go of it
   */
  async kill(error: HearthlendError): Promise<void> {
    this.#fail(error);
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () =>
        late.reject(new HearthlendError('INTERNAL', { detail: `the worker ${this.pid} is still there ${GONE_MS / 1000} s after SIGKILL` })),
      GONE_MS,
    );
    await Promise.race([this.gone, late.promise]).finally(() => clearTimeout(timer));
  }

  /** The first reason for which it ends counts. */
  #fail(error: HearthlendError): void {
    if (this.#end !== null) return;
    this.#end = error;
    this.#killTree();
    const waiting = this.#pending ?? this.#starting;
    this.#pending = null;
    this.#starting = null;
    waiting?.reject(error);
  }

  /** What was started, and what it started: `--die-with-parent` ends what is behind bubblewrap, the process group the rest. */
  #killTree(): void {
    this.#child.kill('SIGKILL');
    if (this.pid === undefined || process.platform === 'win32') return;
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch (error) {
      // Nobody of the group is left.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  #startFailed(detail: string): HearthlendError {
    const said = this.stderr.trim().split('\n').slice(-5).join(' ').slice(-500);
    return new HearthlendError('WORKER_START_FAILED', { detail: said === '' ? detail : `${detail}; it said: ${said}` });
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): HearthlendError {
    const how = howItEnded(code, signal);
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
      const allowed = this.#pending?.bodyBytes ?? 0;
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
    const pending = this.#pending;
    if (pending === null) throw protocol(`it sent ${reply.type} when nothing was asked`);
    if (reply.id !== pending.request.id) throw protocol(`it answered request ${reply.id} when ${pending.request.id} was asked`);
    if (body.byteLength > 0 && reply.type !== 'result') throw protocol(`it sent data with ${reply.type}`);
    if (reply.type === 'token') {
      if (pending.onToken === undefined) throw protocol('it sent a token when none was asked for');
      pending.onToken(reply);
      return;
    }
    if (body.byteLength > pending.bodyBytes) this.#tooLarge(pending.bodyBytes);
    if (reply.type === 'failed') {
      const error = reportedError(reply.code, reply.params);
      this.#pending = null;
      pending.reject(error);
      return;
    }
    if (reply.type !== ANSWER_TYPES[pending.request.type]) throw protocol(`it answered ${pending.request.type} with ${reply.type}`);
    this.#pending = null;
    pending.resolve({ reply, body });
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

/** bubblewrap tells a signal that ended the worker as a shell does: 128 and its number. */
function howItEnded(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) return `signal ${signal}`;
  const inside = Object.entries(constants.signals).find(([, number]) => code === 128 + number)?.[0];
  return inside === undefined ? `exit code ${code}` : `signal ${inside}`;
}
