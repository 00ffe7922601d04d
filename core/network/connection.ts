import type { NatsConnection } from '@nats-io/nats-core';
import type { z } from 'zod';
import { asHearthlendError, HearthlendError } from '../contract/errors.ts';
import { encodeFramePrefix, FrameDecoder } from '../contract/frame.ts';
import {
  WORKER_CALLS,
  WORKER_FRAME_LIMITS,
  WORKER_SUBJECTS,
  type WorkerCallInput,
  type WorkerCallName,
  type WorkerCallOutput,
  WorkerEvent,
  WorkerReply,
} from '../contract/worker-calls.ts';
import { type DialTo, dial } from './dial.ts';

/** How long an answer may take. A submission may be computed again before it is answered. */
const ANSWER_MS: Record<WorkerCallName, number> = {
  connect: 10_000,
  lease: 10_000,
  progress: 10_000,
  submit: 90_000,
  // It waits for what other machines compute.
  exchange: 20_000,
  release: 10_000,
  receiptsSince: 20_000,
  pendingBatches: 20_000,
  countersign: 10_000,
  vouchers: 20_000,
  audits: 10_000,
  blobAccess: 10_000,
};
/** Between two tries to connect: doubled each time, from the first to the last. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 60_000;

export type Link = { state: 'connecting' | 'connected' } | { state: 'lost' | 'refused'; error: HearthlendError };

interface ConnectionOptions extends DialTo {
  /** What has to be done before each try; what it rejects with counts as not connected. */
  prepare?(): Promise<void>;
  /** Asked at each try: they may have changed. */
  servers(): readonly string[];
  /** The first call on each connection; what it rejects with counts as not connected. */
  greet(call: Call): Promise<void>;
  /** The server doesn't take the key: what may be done about it. Null where it is to be tried again at once, else why not. */
  onRefused(): Promise<HearthlendError | null>;
  onLink(link: Link): void;
  onEvent(event: z.output<typeof WorkerEvent>): void;
}

export type Call = <N extends WorkerCallName>(name: N, input: WorkerCallInput<N>, body?: Uint8Array) => Promise<WorkerCallOutput<N>>;

/** The connection to one network's NATS: made again for as long as it isn't closed, one server after the other, with longer and longer waits. */
export class Connection {
  readonly #options: ConnectionOptions;
  #nats: NatsConnection | null = null;
  #greeted = false;
  #closed = false;
  #tries = 0;
  #timer: NodeJS.Timeout | undefined;
  #trying: Promise<void> | undefined;
  #lastError: HearthlendError | null = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** One try now; from then on it goes on by itself. Resolves when that first try is over, however it went. */
  open(): Promise<void> {
    this.#trying ??= this.#try().finally(() => {
      this.#trying = undefined;
    });
    return this.#trying;
  }

  /**
   * @throws NETWORK_UNREACHABLE where there is no connection, or no answer in time; NETWORK_REFUSED where the network says no, by whatever code;
   * NETWORK_ANSWER_INVALID for an answer that is none
   */
  readonly call: Call = async (name, input, body) => {
    if (this.#nats === null || !this.#greeted) throw this.#unreachable();
    return this.#ask(this.#nats, name, input, body);
  };

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#trying?.catch(() => undefined);
    const nats = this.#nats;
    this.#nats = null;
    await nats?.close().catch(() => undefined);
  }

  #unreachable(detail?: string): HearthlendError {
    if (detail === undefined && this.#lastError !== null) return this.#lastError;
    return new HearthlendError('NETWORK_UNREACHABLE', { network: this.#options.network, detail: detail ?? 'not connected' });
  }

  async #try(): Promise<void> {
    clearTimeout(this.#timer);
    const { prepare, servers, onLink, greet } = this.#options;
    if (this.#lastError === null) onLink({ state: 'connecting' });
    try {
      await prepare?.();
    } catch (thrown) {
      this.#lastError = asHearthlendError(thrown);
      return this.#failed();
    }
    for (const server of servers()) {
      if (this.#closed) return;
      try {
        const nats = await dial(server, this.#options);
        if (this.#closed) return void (await nats.close());
        this.#nats = nats;
        this.#watch(nats);
        await greet((name, input, body) => this.#ask(nats, name, input, body));
        if (this.#nats !== nats) throw this.#unreachable('the connection broke at once');
        this.#greeted = true;
        this.#tries = 0;
        this.#lastError = null;
        onLink({ state: 'connected' });
        return;
      } catch (thrown) {
        const error = asHearthlendError(thrown);
        await this.#drop();
        this.#lastError = error;
        if (error.code === 'NETWORK_REFUSED') break;
      }
    }
    await this.#failed();
  }

  async #failed(): Promise<void> {
    let error = this.#lastError ?? this.#unreachable('it names no server');
    const refused = error.code === 'NETWORK_REFUSED';
    // Access that is over may be renewed; one that was revoked may not.
    const why = refused && !this.#closed ? await this.#options.onRefused() : error;
    const again = why === null && this.#tries === 0;
    if (why?.code === 'NETWORK_REVOKED' || why?.code === 'NETWORK_MEMBER_UNKNOWN') error = why;
    this.#lastError = error;
    if (this.#closed) return;
    this.#options.onLink({ state: refused && !again ? 'refused' : 'lost', error });
    const wait = again ? 0 : Math.min(FIRST_WAIT_MS * 2 ** this.#tries, LONGEST_WAIT_MS);
    this.#tries += 1;
    // Many machines lose the same server at once: they come back one after the other.
    this.#retry(wait === 0 ? 0 : wait * (0.75 + Math.random() * 0.5));
  }

  #retry(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.open(), ms);
  }

  async #drop(): Promise<void> {
    const nats = this.#nats;
    this.#nats = null;
    this.#greeted = false;
    await nats?.close().catch(() => undefined);
  }

  #watch(nats: NatsConnection): void {
    const { nkey, network, onEvent, onLink } = this.#options;
    nats.subscribe(WORKER_SUBJECTS.events(nkey), {
      callback: (error, message) => {
        if (error !== null || this.#nats !== nats) return;
        const event = WorkerEvent.safeParse(json(message.data));
        // What isn't one changes nothing: a network that tells nonsense is found out by its answers.
        if (event.success) onEvent(event.data);
      },
    });
    void nats.closed().then((reason) => {
      if (this.#nats !== nats) return;
      const wasGreeted = this.#greeted;
      this.#nats = null;
      this.#greeted = false;
      const detail = reason instanceof Error ? reason.message.slice(0, 200) : 'the connection broke';
      this.#lastError = new HearthlendError('NETWORK_UNREACHABLE', { network, detail });
      if (!wasGreeted || this.#closed) return;
      onLink({ state: 'lost', error: this.#lastError });
      this.#retry(FIRST_WAIT_MS * (0.5 + Math.random()));
    });
  }

  async #ask<N extends WorkerCallName>(
    nats: NatsConnection,
    name: N,
    input: WorkerCallInput<N>,
    body: Uint8Array = new Uint8Array(0),
  ): Promise<WorkerCallOutput<N>> {
    const { nkey, network } = this.#options;
    const prefix = encodeFramePrefix(input, body.byteLength, WORKER_FRAME_LIMITS);
    let data: Uint8Array;
    try {
      data = (await nats.request(WORKER_SUBJECTS.call(nkey, name), Buffer.concat([prefix, body]), { timeout: ANSWER_MS[name] })).data;
    } catch (thrown) {
      throw this.#unreachable((thrown as Error).message.slice(0, 200));
    }
    return readReply(network, name, data);
  }
}

/** @throws NETWORK_REFUSED, NETWORK_ANSWER_INVALID */
function readReply<N extends WorkerCallName>(network: string, name: N, data: Uint8Array): WorkerCallOutput<N> {
  const invalid = (detail: string) =>
    new HearthlendError('NETWORK_ANSWER_INVALID', { network, detail: `${name}: ${detail}`.slice(0, 300) });
  let header: unknown;
  let body: Uint8Array = new Uint8Array();
  try {
    const decoder = new FrameDecoder(WORKER_FRAME_LIMITS);
    const [frame, ...more] = decoder.push(data);
    if (frame === undefined || more.length > 0 || decoder.pendingBytes > 0) throw invalid('not one whole frame');
    header = frame.header;
    body = frame.body;
  } catch (thrown) {
    throw thrown instanceof HearthlendError && thrown.code === 'NETWORK_ANSWER_INVALID' ? thrown : invalid('no frame');
  }
  const reply = WorkerReply.safeParse(header);
  if (!reply.success) throw invalid('neither an answer nor an error');
  if (!reply.data.ok) throw new HearthlendError('NETWORK_REFUSED', { network, detail: `${name}: ${reply.data.error.code}` });
  const output = WORKER_CALLS[name].output.safeParse(reply.data.output);
  if (output.success && body.byteLength === 0) return output.data as WorkerCallOutput<N>;
  // Only what a stage is handed comes as bytes.
  if (output.success && name === 'exchange') return { ...(output.data as object), inputs: body } as unknown as WorkerCallOutput<N>;
  if (output.success) throw invalid('bytes that nobody asked for');
  const { path, message } = output.error.issues[0] ?? { path: [], message: '' };
  throw invalid(`${path.join('.')}: ${message}`);
}

function json(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    return null;
  }
}
