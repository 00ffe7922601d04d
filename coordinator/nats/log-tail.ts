import { AckPolicy, DeliverPolicy, type JetStreamManager, ReplayPolicy } from '@nats-io/jetstream';
import { createInbox, type Msg, type NatsConnection, nanos, nuid } from '@nats-io/nats-core';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { Log } from '../log.ts';
import { findLog, type LogNames, markOf, type Position, placeInLog } from './log-stream.ts';

const HEARTBEAT_MS = 1000;
/** Without a word for so long the consumer is taken for lost, and made again. */
const SILENCE_MS = 3 * HEARTBEAT_MS;
const RETRY_MS = 500;
/** What is asked for at once. nats-server cuts off who is further behind with reading than its `max_pending`. */
const ASKED_MESSAGES = 512;
const ASKED_BYTES = 2 * 2 ** 20;
const ASKED_FOR_MS = 30_000;
/** A consumer whose coordinator is gone is removed by the server after this. */
const GONE_MS = 30_000;
/** How far a message's sequence in its stream is into its reply subject. Source: nats-architecture-and-design, ADR-15: `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>…` */
const SEQUENCE_TOKEN = 5;
/** The same where the subject names domain and account. */
const SEQUENCE_TOKEN_WITH_DOMAIN = 7;

export interface TailOptions {
  nc: NatsConnection;
  jsm: JetStreamManager;
  names: LogNames;
  /** The log, and the last sequence that was handed over already. */
  from: Position;
  /** Called with each message once, in order, without a gap. */
  onMessage(data: Uint8Array, sequence: number): void;
  /** Called once, where the log can't be followed any more: nothing is handed over after it. */
  onBroken(error: HearthlendError): void;
  log: Log;
}

/** Follows the log: whatever becomes of connection and server meanwhile, each message is handed over once. */
export interface Tail {
  stop(): void;
}

interface Listening {
  consumer: string;
  inbox: string;
  /** Messages that were asked for and have not come. */
  left: number;
  end(): void;
}

/** Starts to follow. What can't be reached now is tried again until `stop`. */
export function tailLog({ nc, jsm, names, from, onMessage, onBroken, log }: TailOptions): Tail {
  let last = from.sequence;
  let mark = from.mark;
  /** The message with the sequence `last`, where it was handed over here. */
  let latest: Uint8Array | undefined;
  let stopped = false;
  let current: Listening | undefined;
  let silence: NodeJS.Timeout | undefined;
  /** Counts the starts: one that a later one has overtaken does nothing more. */
  let starts = 0;
  const statuses = nc.status();

  async function watchConnection(): Promise<void> {
    // What the server had of us is gone with a restart of it.
    for await (const { type } of statuses) if (type === 'reconnect') restart('reconnect');
  }

  function heard(): void {
    clearTimeout(silence);
    if (!stopped) silence = setTimeout(silent, SILENCE_MS);
  }

  /** Where this process was busy itself, what came meanwhile is read first. */
  function silent(): void {
    silence = setTimeout(() => restart('silence'), HEARTBEAT_MS);
  }

  function restart(why: string): void {
    if (stopped) return;
    log('info', 'log-tail-restarted', { stream: names.stream, why, after: last });
    starts += 1;
    void start(starts);
  }

  function broken(error: HearthlendError): void {
    if (stopped) return;
    stopped = true;
    leave();
    onBroken(error);
  }

  /** Forgets the consumer; the server removes it when it hears so, or after a while. */
  function leave(): void {
    clearTimeout(silence);
    const left = current;
    current = undefined;
    if (left === undefined) return;
    left.end();
    jsm.consumers.delete(names.stream, left.consumer).catch(() => undefined);
  }

  async function start(own: number): Promise<void> {
    const overtaken = () => stopped || own !== starts;
    leave();
    while (!overtaken()) {
      try {
        const info = await findLog(jsm, names);
        if (overtaken()) return;
        if (info === null) return broken(new HearthlendError('LOG_MISSING', { stream: names.stream }));
        if (latest !== undefined) mark = markOf(latest);
        const place = await placeInLog(jsm, info, { log: from.log, sequence: last, mark });
        if (overtaken()) return;
        if (place === 'behind') {
          const detail = `it begins at ${info.state.first_seq}, and ${last} was the last that was applied here`;
          return broken(new HearthlendError('LOG_TRUNCATED', { stream: names.stream, detail }));
        }
        return await listen();
      } catch (thrown) {
        if (overtaken()) return;
        if (thrown instanceof HearthlendError) return broken(thrown);
        log('warn', 'log-unreachable', { stream: names.stream, detail: (thrown as Error).message });
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async function listen(): Promise<void> {
    const inbox = createInbox();
    const consumer = `replica-${nuid.next()}`;
    const subscription = nc.subscribe(inbox, {
      callback: (error, message) => (error === null ? receive(message) : restart(error.message)),
    });
    const listening = { consumer, inbox, left: 0, end: () => subscription.unsubscribe() };
    current = listening;
    try {
      await jsm.consumers.add(names.stream, {
        name: consumer,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: last + 1,
        ack_policy: AckPolicy.None,
        replay_policy: ReplayPolicy.Instant,
        inactive_threshold: nanos(GONE_MS),
        mem_storage: true,
        num_replicas: 1,
      });
    } catch (thrown) {
      if (current === listening) leave();
      throw thrown;
    }
    if (current === listening) ask(listening);
  }

  /** Asks for what comes next, and no more of it than this connection may be behind with. Source: nats-architecture-and-design, ADR-37. */
  function ask(listening: Listening): void {
    listening.left = ASKED_MESSAGES;
    const asked = {
      batch: ASKED_MESSAGES,
      max_bytes: Math.max(ASKED_BYTES, 2 * (nc.info?.max_payload ?? 0)),
      expires: nanos(ASKED_FOR_MS),
      idle_heartbeat: nanos(HEARTBEAT_MS),
    };
    nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${names.stream}.${listening.consumer}`, JSON.stringify(asked), { reply: listening.inbox });
    heard();
  }

  function receive(message: Msg): void {
    const listening = current;
    if (stopped || listening === undefined) return;
    heard();
    const sequence = sequenceOf(message.reply ?? '');
    if (sequence === null) {
      control(message, listening);
      return;
    }
    if (sequence > last + 1) {
      gap(sequence);
      return;
    }
    if (sequence === last + 1) {
      last = sequence;
      latest = message.data;
      onMessage(message.data, sequence);
    }
    listening.left -= 1;
    if (listening.left === 0) ask(listening);
  }

  /** A sign of life, or the end of what was asked for: as much as was asked for is here, or it took too long. */
  function control(message: Msg, listening: Listening): void {
    const { code = 0, description = '' } = message.headers ?? {};
    if (code === 100) return;
    if (code === 408 || (code === 409 && /max\s?bytes|batch/i.test(description))) ask(listening);
    else restart(description || `status ${code}`);
  }

  /** Lost on the way, or removed: the stream tells which. */
  function gap(next: number): void {
    const missing = last + 1;
    leave();
    jsm.streams.getMessage(names.stream, { seq: missing }).then(
      (found) => {
        if (found !== null) return restart('a message was lost');
        broken(new HearthlendError('LOG_TRUNCATED', { stream: names.stream, detail: `${missing} is missing before ${next}` }));
      },
      () => restart('a message was lost'),
    );
  }

  void watchConnection();
  restart('start');
  return {
    stop() {
      stopped = true;
      leave();
      (statuses as unknown as { stop?(): void }).stop?.();
    },
  };
}

function sequenceOf(reply: string): number | null {
  const parts = reply.split('.');
  const sequence = Number(parts.length > 9 ? parts[SEQUENCE_TOKEN_WITH_DOMAIN] : parts[SEQUENCE_TOKEN]);
  return reply.startsWith('$JS.ACK.') && Number.isSafeInteger(sequence) && sequence > 0 ? sequence : null;
}
