import { randomBytes } from 'node:crypto';
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { z } from 'zod';
import { errorOf, HearthlendError } from '../../core/contract/errors.ts';
import { encodeFramePrefix, type Frame, FrameDecoder } from '../../core/contract/frame.ts';
import type { MadeOfShard } from '../../core/contract/jobs.ts';
import { MadeTokens, StageReply } from '../../core/contract/network.ts';
import { Address } from '../../core/contract/receipt.ts';
import { ShardId } from '../../core/contract/shard.ts';
import { StagePart, WORKER_FRAME_LIMITS, WorkerReply } from '../../core/contract/worker-calls.ts';
import type { Log } from '../log.ts';
import type { Others, StageAsk } from '../others.ts';
import { refusalOf } from '../refusals.ts';

/** Longer than a stage waits for its next step, shorter than its worker waits for the answer. */
const ANSWER_MS = 15_000;

const Made = z.strictObject({ ...MadeTokens.shape, shardId: ShardId, by: z.string() });
const Asked = z.strictObject({
  worker: z.strictObject({ address: Address, payee: Address }),
  key: z.strictObject({ shardId: ShardId, attempt: z.int().min(1) }),
  step: z.int().min(0).max(1_000_000),
  part: StagePart.optional(),
  handed: z.boolean(),
});

/** The coordinators of a network among each other, over the connection that only they have: plain messages, of which none is kept. */
export function openOthers(nc: NatsConnection, networkId: string, log: Log): Others & { close(): void } {
  const self = randomBytes(8).toString('hex');
  const madeSubject = `hearthlend.made.${networkId}`;
  const exchangeSubject = (coordinator: string) => `hearthlend.exchange.${coordinator}`;
  const listeners = new Set<(made: MadeOfShard) => void>();
  let answering: Parameters<Others['answer']>[0] | null = null;

  const made = nc.subscribe(madeSubject, {
    callback(error, message) {
      const told = error === null ? Made.safeParse(parsed(message)) : null;
      if (told?.success !== true || told.data.by === self) return;
      const { by: _by, ...tokens } = told.data;
      for (const listener of listeners) listener(tokens);
    },
  });
  const asked = nc.subscribe(exchangeSubject(self), {
    callback(error, message) {
      if (error === null) void answer(message);
    },
  });

  async function answer(message: Msg): Promise<void> {
    let header: WorkerReply;
    let body: Uint8Array | undefined;
    try {
      const frame = frameOf(message.data);
      const { handed, part, ...rest } = Asked.parse(frame.header);
      if (answering === null) throw new HearthlendError('NETWORK_BUSY');
      const { inputs, ...output } = await answering({ ...rest, ...(part === undefined ? {} : { part }) }, handed ? frame.body : null);
      header = { ok: true, output };
      body = inputs;
    } catch (thrown) {
      header = { ok: false, error: refusalOf(thrown, log, 'exchange') };
    }
    if (!nc.isClosed()) message.respond(framed(header, body));
  }

  return {
    self,
    tellMade(tokens) {
      if (!nc.isClosed()) nc.publish(madeSubject, JSON.stringify({ ...tokens, by: self }));
    },
    onMade(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    answer(exchange) {
      answering = exchange;
    },
    async exchange(coordinator, ask: StageAsk, outputs) {
      const request = framed({ ...ask, handed: outputs !== null }, outputs ?? undefined);
      // Gone, or too slow: its worker asks again, and somebody takes the generation over in time.
      const message = await nc.request(exchangeSubject(coordinator), request, { timeout: ANSWER_MS }).catch((cause: unknown) => {
        throw new HearthlendError('NETWORK_BUSY', {}, { cause });
      });
      const { header, body } = frameOf(message.data);
      const reply = WorkerReply.parse(header);
      if (!reply.ok) throw errorOf(reply.error.code, reply.error.params);
      return { ...StageReply.parse(reply.output), ...(body.byteLength > 0 ? { inputs: body } : {}) };
    },
    close() {
      made.unsubscribe();
      asked.unsubscribe();
    },
  };
}

function framed(header: unknown, body: Uint8Array = new Uint8Array()): Uint8Array {
  const prefix = encodeFramePrefix(header, body.byteLength, WORKER_FRAME_LIMITS);
  return body.byteLength === 0 ? prefix : Buffer.concat([prefix, body]);
}

function frameOf(data: Uint8Array): Frame {
  const [frame] = new FrameDecoder(WORKER_FRAME_LIMITS).push(data);
  if (frame === undefined) throw new HearthlendError('NETWORK_REQUEST_INVALID', { detail: 'no frame' });
  return frame;
}

function parsed(message: Msg): unknown {
  try {
    return message.json();
  } catch {
    return null;
  }
}
