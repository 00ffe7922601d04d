import { performance } from 'node:perf_hooks';
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import { encodeFramePrefix, FrameDecoder } from '../../core/contract/frame.ts';
import type { WorkerNkey } from '../../core/contract/joining.ts';
import { WORKER_CALLS, WORKER_FRAME_LIMITS, type WorkerCallName, type WorkerReply } from '../../core/contract/worker-calls.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { refusalOf } from '../refusals.ts';
import type { Worker, WorkerService } from '../service.ts';
import { type CallContext, callService } from './calls.ts';
import { ANSWERING_GROUP, EVERY_CALL } from './claims.ts';
import { tellEvents } from './events.ts';
import { readRequest } from './requests.ts';

export interface TransportOptions extends Omit<CallContext, 'service'> {
  /** The answering connection. Its end is its owner's. */
  connection: NatsConnection;
  service: WorkerService;
  /** The worker that this key belongs to. @throws NETWORK_MEMBER_UNKNOWN, NETWORK_REVOKED */
  workerOf(nkey: WorkerNkey): Promise<Worker>;
  /** The key of a worker; null where it has none any more. */
  nkeyOf(worker: string): Promise<WorkerNkey | null>;
  log: Log;
  metrics: Metrics;
  limits?: Partial<TransportLimits>;
}

interface TransportLimits {
  /** Calls under way, of one worker and of all: what comes beyond is told to come again. */
  perWorker: number;
  inAll: number;
}

const LIMITS: TransportLimits = { perWorker: 32, inAll: 512 };

/** Serves workers over NATS: from now on until stopped. */
export interface Transport {
  /** Workers that asked something lately. */
  connected(): number;
  /** Takes no more calls and answers those that are under way. */
  stop(): Promise<void>;
}

export function serveWorkers(options: TransportOptions): Transport {
  const { connection, service, log, metrics } = options;
  const limits = { ...LIMITS, ...options.limits };
  const underWay = new Map<WorkerNkey, number>();
  let inAll = 0;
  let idle: (() => void) | null = null;
  const events = tellEvents(options);

  const calls = metrics.counter('hearthlend_worker_calls_total', 'Calls of workers, by what came of them.');
  const seconds = metrics.histogram('hearthlend_worker_call_seconds', 'How long calls of workers took.');
  const dropped = metrics.counter('hearthlend_worker_messages_dropped_total', 'Messages that nobody can be answered about.');
  metrics.gauge('hearthlend_worker_calls_under_way', 'Calls of workers that are not answered yet.', () => [{ value: inAll }]);

  function take(message: Msg): void {
    const request = readRequest(message.subject, message.reply);
    if (request.type === 'drop') {
      dropped({ why: request.why });
      return;
    }
    const reply = message.reply as string;
    if (request.type === 'unknown-call') {
      refuse(reply, 'unknown', new HearthlendError('NETWORK_REQUEST_INVALID', { detail: 'no such call' }));
      return;
    }
    const { worker, call } = request;
    const own = underWay.get(worker) ?? 0;
    if (own >= limits.perWorker || inAll >= limits.inAll) {
      refuse(reply, call, new HearthlendError('NETWORK_BUSY'));
      return;
    }
    underWay.set(worker, own + 1);
    inAll += 1;
    void answer(worker, call, message.data, reply).finally(() => {
      const left = (underWay.get(worker) ?? 1) - 1;
      if (left === 0) underWay.delete(worker);
      else underWay.set(worker, left);
      inAll -= 1;
      if (inAll === 0) idle?.();
    });
  }

  function refuse(reply: string, call: WorkerCallName | 'unknown', thrown: unknown): void {
    const refusal = refusalOf(thrown, log, call);
    calls({ call, outcome: refusal.code });
    send(reply, { ok: false, error: refusal });
  }

  async function answer(nkey: WorkerNkey, call: WorkerCallName, data: Uint8Array, reply: string): Promise<void> {
    const startedAt = performance.now();
    try {
      const worker = await options.workerOf(nkey);
      const { input, body } = readCall(call, data);
      events.heard(nkey);
      const { output, inputs } = split(await callService(options, worker, call, input, body));
      send(reply, { ok: true, output }, inputs);
      calls({ call, outcome: 'ok' });
    } catch (thrown) {
      refuse(reply, call, thrown);
    }
    seconds((performance.now() - startedAt) / 1000, { call });
  }

  function send(reply: string, header: WorkerReply, body: Uint8Array = new Uint8Array()): void {
    try {
      const prefix = encodeFramePrefix(header, body.byteLength, WORKER_FRAME_LIMITS);
      connection.publish(reply, body.byteLength === 0 ? prefix : Buffer.concat([prefix, body]));
    } catch (thrown) {
      // The connection is over, or an answer is over a frame's limit, which calls.ts keeps.
      log('error', 'not-answered', { detail: asHearthlendError(thrown).message.slice(0, 300) });
    }
  }

  const subscription = connection.subscribe(EVERY_CALL, {
    queue: ANSWERING_GROUP,
    callback: (error, message) => {
      if (error === null) take(message);
      else log('error', 'nats-subscription', { detail: error.message.slice(0, 300) });
    },
  });
  const unsubscribe = service.subscribe(events.tell);

  return {
    connected: events.connected,
    async stop() {
      unsubscribe();
      events.close();
      await subscription.drain();
      if (inAll > 0) {
        await new Promise<void>((resolve) => {
          idle = resolve;
        });
      }
      await connection.flush();
    },
  };
}

/** What a stage is handed goes as bytes, not as JSON. */
function split(answer: unknown): { output: unknown; inputs?: Uint8Array } {
  if (typeof answer !== 'object' || answer === null || !('inputs' in answer) || !(answer.inputs instanceof Uint8Array))
    return { output: answer };
  const { inputs, ...output } = answer;
  return { output, inputs };
}

/** @throws NETWORK_REQUEST_INVALID */
function readCall<N extends WorkerCallName>(call: N, data: Uint8Array): { input: unknown; body: Uint8Array } {
  const invalid = (detail: string) => new HearthlendError('NETWORK_REQUEST_INVALID', { detail: `${call}: ${detail}`.slice(0, 300) });
  const decoder = new FrameDecoder(WORKER_FRAME_LIMITS);
  let frames: ReturnType<typeof decoder.push>;
  try {
    frames = decoder.push(data);
  } catch {
    throw invalid('no frame');
  }
  const [frame] = frames;
  if (frame === undefined || frames.length > 1 || decoder.pendingBytes > 0) throw invalid('not one whole frame');
  const input = WORKER_CALLS[call].input.safeParse(frame.header);
  if (!input.success) {
    const [issue] = input.error.issues;
    throw invalid(`${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim());
  }
  return { input: input.data, body: frame.body };
}
