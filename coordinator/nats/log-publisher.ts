import { JetStreamApiError, type JetStreamClient } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { Log } from '../log.ts';
import { encodeMessage } from './log-message.ts';
import type { LogNames } from './log-stream.ts';

/** Changes and their size, in JSON, that one message carries at most; one change that is larger goes alone. */
const GROUP_CHANGES = 256;
const GROUP_BYTES = 256 * 1024;
/** Changes that wait to be published. Whoever asks for more than the log takes is told so, instead of holding ever more memory. */
const MAX_WAITING = 50_000;
/** How long one publish waits for its acknowledgement before it is sent again. */
const ACK_MS = 2000;
const RETRY_MS = 200;
/** What a message's headers and its subject take of the server's limit. */
const OVERHEAD_BYTES = 1024;
/** Not enough room. Source: nats-server/server/errors.json. */
const FULL = new Set([10023, 10047, 10077]);

interface Waiting {
  text: string;
  since: number;
  resolve(result: unknown): void;
  reject(error: HearthlendError): void;
}

export interface PublisherOptions {
  nc: NatsConnection;
  js: JetStreamClient;
  names: LogNames;
  writer: string;
  /** How long a change waits to be recorded and applied, ms. */
  withinMs: number;
  /** What keeps changes from being applied here just now. */
  hindrance(): HearthlendError | null;
  connected(): boolean;
  log: Log;
}

/** Puts changes into the log, several in one message where they queue up, and gives each what came of it here. */
export interface Publisher {
  /** @param text the JSON of the change's name and arguments */
  append(text: string): Promise<unknown>;
  /** A message of this writer was applied: what came of each of its changes. */
  applied(number: number, outcomes: ReadonlyArray<{ result: unknown } | { error: HearthlendError }>): void;
  /** What is on its way may never be acknowledged: it is sent again when there is a connection. */
  disconnected(): void;
  /** Refuses what waits, and all that comes. */
  fail(error: HearthlendError): void;
}

export function createPublisher({ nc, js, names, writer, withinMs, hindrance, connected, log }: PublisherOptions): Publisher {
  let queue: Waiting[] = [];
  const pending = new Map<number, Waiting[]>();
  let number = 0;
  let publishing = false;
  let broken: HearthlendError | undefined;
  let sweeping: NodeJS.Timeout | undefined;
  /** When a change last came through, or the first began to wait. */
  let progressAt = 0;
  let stalled = false;
  /** The publish that waits: its message may be seen in the log before it is acknowledged, and its connection may be lost. */
  let current: { number: number; seen(): void; lost(error: Error): void } | undefined;

  const late = () =>
    hindrance() ??
    new HearthlendError('STORE_UNREACHABLE', { stream: names.stream, detail: `nothing was heard within ${withinMs / 1000} s` });

  /** Refuses what waited too long, whether it is published or not. While any of it goes through it is slow, and not unreachable. */
  function sweep(): void {
    if (queue.length === 0 && pending.size === 0) {
      clearInterval(sweeping);
      sweeping = undefined;
      return;
    }
    const before = performance.now() - withinMs;
    const wasStalled = stalled;
    stalled = progressAt <= before;
    // Where this process was busy itself, what came meanwhile is read before the next look.
    if (!(stalled && wasStalled)) return;
    const isLate = ({ since }: Waiting) => since <= before;
    for (const each of queue) if (isLate(each)) each.reject(late());
    queue = queue.filter((each) => !isLate(each));
    for (const [at, group] of pending) {
      if (!group.every(isLate)) continue;
      for (const each of group) each.reject(late());
      pending.delete(at);
    }
  }

  /** As many of those that wait as go together. */
  function nextGroup(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { text } of queue) {
      if (count === GROUP_CHANGES || (count > 0 && bytes + text.length > GROUP_BYTES)) break;
      bytes += text.length;
      count += 1;
    }
    return queue.splice(0, count);
  }

  async function publishAll(): Promise<void> {
    if (publishing) return;
    publishing = true;
    try {
      // Those that are asked for in one turn go together.
      await Promise.resolve();
      while (queue.length > 0 && broken === undefined) await publishGroup(nextGroup());
    } finally {
      publishing = false;
    }
  }

  async function publishGroup(group: Waiting[]): Promise<void> {
    number += 1;
    const own = number;
    const bytes = encodeMessage(
      writer,
      own,
      group.map(({ text }) => text),
    );
    const limit = (nc.info?.max_payload ?? 2 ** 20) - OVERHEAD_BYTES;
    if (bytes.byteLength > limit) {
      if (group.length === 1) group[0]?.reject(new HearthlendError('LOG_CHANGE_TOO_LARGE', { bytes: bytes.byteLength, limit }));
      else for (const each of group) await publishGroup([each]);
      return;
    }
    pending.set(own, group);
    // Sent again until it is in the log or nobody waits for it any more. The server knows it by its id, and each replica by its number.
    while (pending.has(own) && broken === undefined) {
      try {
        // What is sent into a lost connection is kept by the client, and would arrive when nobody waits for it.
        if (!connected()) throw new Error('there is no connection');
        const heard = new Promise<void>((seen, lost) => {
          current = { number: own, seen, lost };
        });
        await Promise.race([publish(own, bytes), heard]);
        return;
      } catch (thrown) {
        const error = refusal(thrown, names.stream);
        if (error !== null) {
          pending.delete(own);
          for (const each of group) each.reject(error);
          return;
        }
        log('warn', 'log-not-acknowledged', { stream: names.stream, number: own, detail: (thrown as Error).message });
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async function publish(own: number, bytes: Uint8Array): Promise<void> {
    await js.publish(names.subject, bytes, { msgID: `${writer}.${own}`, expect: { streamName: names.stream }, timeout: ACK_MS });
  }

  return {
    append(text) {
      if (broken !== undefined) return Promise.reject(broken);
      if (queue.length >= MAX_WAITING)
        return Promise.reject(
          new HearthlendError('STORE_UNREACHABLE', { stream: names.stream, detail: `${MAX_WAITING} changes wait already` }),
        );
      if (sweeping === undefined) {
        sweeping = setInterval(sweep, Math.max(withinMs / 20, 50));
        progressAt = performance.now();
        stalled = false;
      }
      return new Promise((resolve, reject) => {
        queue.push({ text, since: performance.now(), resolve, reject });
        void publishAll();
      });
    },
    applied(which, outcomes) {
      const group = pending.get(which);
      pending.delete(which);
      progressAt = performance.now();
      if (current?.number === which) current.seen();
      for (const [index, each] of (group ?? []).entries()) {
        const outcome = outcomes[index];
        if (outcome !== undefined && 'result' in outcome) each.resolve(outcome.result);
        else each.reject(outcome?.error ?? late());
      }
    },
    disconnected() {
      current?.lost(new Error('the connection was lost'));
    },
    fail(error) {
      broken ??= error;
      clearInterval(sweeping);
      for (const each of [...queue, ...[...pending.values()].flat()]) each.reject(broken);
      queue = [];
      pending.clear();
    },
  };
}

/** What the server will not take, however often it is sent; null where sending it again may help. */
function refusal(thrown: unknown, stream: string): HearthlendError | null {
  if (!(thrown instanceof JetStreamApiError)) return null;
  return FULL.has(thrown.code) ? new HearthlendError('STORE_FULL', { stream, detail: thrown.message }) : null;
}
