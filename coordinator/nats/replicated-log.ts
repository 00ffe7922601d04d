import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import { type NatsConnection, nuid } from '@nats-io/nats-core';
import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import type { ChangeLog } from '../change-log.ts';
import { createListeners } from '../events.ts';
import type { Log } from '../log.ts';
import { changeNames } from '../sqlite/change.ts';
import type { Applied, ChangeName, Changes } from '../store.ts';
import { decodeMessage, type LogMessage } from './log-message.ts';
import { createPublisher } from './log-publisher.ts';
import { findLog, type LogNames, markOf, type Position } from './log-stream.ts';
import { tailLog } from './log-tail.ts';
import type { Replica } from './replica.ts';
import type { Snapshots } from './snapshots.ts';

/** Messages that are applied in one transaction at most, so that what waits for this process gets its turn. */
const TOGETHER = 256;
/** Where the disk was full: when it is tried again. */
const RETRY_MS = 1000;
/** A snapshot is taken at the latest after so many bytes of changes. */
const SNAPSHOT_BYTES = 256 * 2 ** 20;

export interface ReplicatedLogOptions {
  nc: NatsConnection;
  js: JetStreamClient;
  jsm: JetStreamManager;
  names: LogNames;
  replica: Replica;
  /** Where the replica stands. */
  from: Position;
  snapshots: Snapshots;
  /** A snapshot is taken after so many messages, by who wrote the last of them; as many stay in the log before it, for those who are behind. */
  snapshotEvery: number;
  /** How long an append waits to be recorded and applied, ms. */
  withinMs: number;
  log: Log;
}

/** A log of many coordinators in a JetStream stream, and what it comes to here. */
export interface ReplicatedLog extends ChangeLog {
  /** Resolves when everything that was in the log at the call is applied here. @throws STORE_UNREACHABLE */
  caughtUp(): Promise<void>;
  /** Rejects where the log can't be followed any more: LOG_MISSING, LOG_REPLACED, LOG_TRUNCATED, LOG_CORRUPT, LOG_NEWER, DATABASE_CORRUPT. */
  readonly failed: Promise<never>;
}

export function createReplicatedLog(options: ReplicatedLogOptions): ReplicatedLog {
  const { nc, js, jsm, names, replica, snapshots, snapshotEvery, log } = options;
  const { stream } = names;
  const writer = nuid.next();
  const known = new Set<string>(changeNames(replica.changes));
  const listeners = createListeners<Applied>(log);
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  const incoming: Array<{ sequence: number; data: Uint8Array }> = [];
  let draining: NodeJS.Immediate | NodeJS.Timeout | undefined;
  let applied = options.from.sequence;
  let hindrance: HearthlendError | null = null;
  let waiters: Array<{ sequence: number; resolve(): void }> = [];
  let ended: HearthlendError | undefined;
  let connected = true;
  let bytesSinceSnapshot = 0;
  let snapshotting: Promise<void> | undefined;

  const publisher = createPublisher({
    ...{ nc, js, names, writer, log, withinMs: options.withinMs },
    hindrance: () => hindrance,
    connected: () => connected,
  });
  const statuses = nc.status();
  void (async () => {
    for await (const { type } of statuses) {
      if (type === 'disconnect') {
        connected = false;
        publisher.disconnected();
      }
      if (type === 'reconnect') connected = true;
    }
  })();
  const tail = tailLog({
    ...{ nc, jsm, names, log, from: options.from },
    onMessage(data, sequence) {
      incoming.push({ data, sequence });
      draining ??= setImmediate(drain);
    },
    onBroken: end,
  });

  function end(error: HearthlendError): void {
    if (ended !== undefined) return;
    ended = error;
    if (error.code !== 'CANCELLED') log('error', 'log-broken', { stream, code: error.code, detail: error.message });
    failure.reject(error);
    publisher.fail(error);
    tail.stop();
  }

  /** Applies what has come: what queued up meanwhile shares a transaction. */
  function drain(): void {
    draining = undefined;
    if (ended !== undefined) return;
    const messages: LogMessage[] = [];
    let broken: HearthlendError | undefined;
    for (const { data, sequence } of incoming.slice(0, TOGETHER)) {
      try {
        messages.push(decodeMessage(data, known, { stream, sequence }));
        bytesSinceSnapshot += data.byteLength;
      } catch (thrown) {
        broken = asHearthlendError(thrown);
        break;
      }
    }
    try {
      const last = incoming[messages.length - 1];
      if (last !== undefined) {
        const outcomes = replica.apply(messages, { sequence: last.sequence, mark: markOf(last.data) });
        hindrance = null;
        const told = incoming.splice(0, messages.length);
        for (const [index, message] of messages.entries()) tell(told[index]?.sequence ?? 0, message, outcomes[index] ?? []);
      }
    } catch (thrown) {
      const error = asHearthlendError(thrown);
      if (error.code !== 'DISK_FULL' && error.code !== 'DATABASE_UNAVAILABLE') {
        end(error);
        return;
      }
      if (hindrance === null) log('error', 'changes-not-applied', { stream, code: error.code });
      hindrance = error;
      draining = setTimeout(drain, RETRY_MS);
      return;
    }
    if (broken !== undefined) end(broken);
    else if (incoming.length > 0) draining = setImmediate(drain);
  }

  function tell(sequence: number, { writer: by, number }: LogMessage, outcomes: ReturnType<Replica['apply']>[number]): void {
    applied = sequence;
    const own = by === writer;
    for (const outcome of outcomes) {
      const { name, args } = outcome;
      if ('result' in outcome) listeners.emit({ name, args, result: outcome.result, own } as Applied);
    }
    if (own) publisher.applied(number, outcomes);
    if (waiters.length > 0) {
      for (const waiter of waiters) if (waiter.sequence <= sequence) waiter.resolve();
      waiters = waiters.filter((waiter) => waiter.sequence > sequence);
    }
    if (own && (sequence % snapshotEvery === 0 || bytesSinceSnapshot > SNAPSHOT_BYTES)) snapshot();
  }

  /** Whoever wrote the message that is one too many makes the snapshot, so that not all do. */
  function snapshot(): void {
    if (snapshotting !== undefined) return;
    bytesSinceSnapshot = 0;
    snapshotting = takeSnapshot()
      .catch((thrown: unknown) => log('error', 'snapshot-not-taken', { stream, detail: asHearthlendError(thrown).message }))
      .finally(() => {
        snapshotting = undefined;
      });
  }

  async function takeSnapshot(): Promise<void> {
    const { sequence } = await snapshots.take(replica.database.db);
    const first = sequence - snapshotEvery + 1;
    if (first > 1) await jsm.streams.purge(stream, { seq: first });
    log('info', 'snapshot-taken', { stream, sequence });
  }

  return {
    async append<N extends ChangeName>(name: N, args: Parameters<Changes[N]>) {
      return (await publisher.append(JSON.stringify([name, args]))) as ReturnType<Changes[N]>;
    },
    onApplied: listeners.add,
    failed: failure.promise,
    async caughtUp() {
      if (ended !== undefined) throw ended;
      const info = await findLog(jsm, names).catch((thrown: unknown) => {
        throw new HearthlendError('STORE_UNREACHABLE', { stream, detail: (thrown as Error).message }, { cause: thrown });
      });
      const sequence = info?.state.last_seq ?? 0;
      if (sequence <= applied) return;
      const there = new Promise<void>((resolve) => waiters.push({ sequence, resolve }));
      await Promise.race([there, failure.promise]);
    },
    async close() {
      end(new HearthlendError('CANCELLED'));
      if (draining !== undefined) {
        clearImmediate(draining as NodeJS.Immediate);
        clearTimeout(draining as NodeJS.Timeout);
      }
      (statuses as unknown as { stop?(): void }).stop?.();
      tail.stop();
      await snapshotting;
      replica.close();
    },
  };
}
