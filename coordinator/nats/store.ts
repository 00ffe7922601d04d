import { existsSync, mkdirSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type JetStreamManager, jetstream, type StreamInfo } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import { storageError } from '../../core/contract/storage-error.ts';
import type { Log } from '../log.ts';
import { storeOver } from '../sqlite/store.ts';
import type { PracticeBook, Store } from '../store.ts';
import { findLog, type LogNames, logNames, makeLog, type Position, placeInLog, tokenOf } from './log-stream.ts';
import { openObjects } from './objects.ts';
import { openReplica, type Replica } from './replica.ts';
import { createReplicatedLog } from './replicated-log.ts';
import { createSnapshots, type Snapshots } from './snapshots.ts';

const REQUEST_MS = 5000;
/** Longer than nats-server takes to start again. */
const APPEND_MS = 15_000;
/** At 200 messages a second every two minutes; a message holds what is asked for at once. */
const SNAPSHOT_EVERY = 20_000;
/** How often the beginning of the log may overtake one that is only just opening. */
const PLACINGS = 3;
/** What a new log can be begun for. */
const RESTORABLE = new Set<string>(['LOG_MISSING', 'LOG_REPLACED', 'LOG_TRUNCATED', 'LOG_CORRUPT']);

export interface NatsStoreOptions {
  /** A connection that reconnects by itself and may use JetStream. Whoever made it closes it. */
  nc: NatsConnection;
  /** A folder of this coordinator alone, made where it is missing. */
  dir: string;
  networkId: string;
  log: Log;
  /** How long a change waits to be recorded and applied before it is refused with STORE_UNREACHABLE; 15 s where left out. */
  withinMs?: number;
  /** Where the log is gone, another one or damaged: begins a new one that goes on from this coordinator's replica. For one coordinator alone. */
  restoreLog?: boolean;
  /** Messages of the log between two snapshots; 20,000 where left out. */
  snapshotEvery?: number;
}

/** The store of one coordinator among several. */
export interface NatsStore {
  store: Store;
  /** Practice done in this network. Limits that are set here are this coordinator's own. */
  book: PracticeBook;
  /** Resolves when everything that any coordinator had recorded at the call is seen here. */
  caughtUp(): Promise<void>;
  /** Rejects where this one can't go on, by what has to be put right: nothing is lost by it. */
  readonly failed: Promise<never>;
}

/**
 * Opens this coordinator's replica and follows the network's log, both made where they are missing. Resolves when the replica has all that was
 * recorded. One that knows nothing yet, or has been away for long, begins from a snapshot.
 * @throws STORE_UNREACHABLE, LOG_MISSING, LOG_REPLACED, LOG_TRUNCATED, LOG_CORRUPT, LOG_NEWER, DATABASE_NEWER, DATABASE_UNAVAILABLE, DISK_FULL,
 *   DATA_DIR_UNWRITABLE
 */
export async function openNatsStore(options: NatsStoreOptions): Promise<NatsStore> {
  const { nc, dir, networkId, log } = options;
  const names = logNames(networkId);
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw storageError(dir, thrown);
  }
  const js = jetstream(nc, { timeout: REQUEST_MS });
  const jsm = await reached(names, () => js.jetstreamManager());
  const objects = await openObjects(nc, `HL_${tokenOf(networkId)}_snapshots`, `Hearthlend ${networkId}: snapshots of the log`);
  const snapshots = createSnapshots(objects, join(dir, 'snapshot.tmp'));
  const placing: Placing = { nc, jsm, names, networkId, path: join(dir, 'replica.db'), snapshots, log };
  const follow = async (place: (placing: Placing) => Promise<Placed>): Promise<NatsStore> => {
    const { replica, position } = await place(placing);
    const changeLog = createReplicatedLog({
      ...{ nc, js, jsm, names, replica, from: position, snapshots, log },
      snapshotEvery: options.snapshotEvery ?? SNAPSHOT_EVERY,
      withinMs: options.withinMs ?? APPEND_MS,
    });
    try {
      await changeLog.caughtUp();
    } catch (thrown) {
      await changeLog.close();
      throw thrown;
    }
    const store = storeOver(replica.reads, replica.changes, changeLog);
    return { store, book: replica.book, caughtUp: changeLog.caughtUp, failed: changeLog.failed };
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await follow(placeReplica);
    } catch (thrown) {
      const { code } = asHearthlendError(thrown);
      // Others may have gone on so far meanwhile that there is a newer snapshot to begin from.
      if (attempt < PLACINGS && code === 'LOG_TRUNCATED') continue;
      if (options.restoreLog === true && RESTORABLE.has(code) && existsSync(placing.path)) return follow(restoreLog);
      throw thrown;
    }
  }
}

interface Placing {
  nc: NatsConnection;
  jsm: JetStreamManager;
  names: LogNames;
  networkId: string;
  path: string;
  snapshots: Snapshots;
  log: Log;
}

interface Placed {
  replica: Replica;
  position: Position;
}

/** The replica as it was left, where the log goes on from there; else one that begins anew. */
async function placeReplica(placing: Placing): Promise<Placed> {
  const { nc, jsm, names, networkId, path, log } = placing;
  const info = await reached(names, () => findLog(jsm, names));
  const left = existsSync(path) ? await openLeft(path, networkId, log) : null;
  const position = left?.position() ?? null;
  try {
    if (left !== null && position !== null) {
      if (info === null) throw new HearthlendError('LOG_MISSING', { stream: names.stream });
      const place = await reached(names, () => placeInLog(jsm, info, position));
      if (place === 'follows') return { replica: left, position };
      log('info', 'replica-too-old', { stream: names.stream, sequence: position.sequence, first: info.state.first_seq });
    }
  } catch (thrown) {
    left?.close();
    throw thrown;
  }
  left?.close();
  return begin(info ?? (await reached(names, () => makeLog(nc, jsm, names))), placing);
}

/** Makes a new log that goes on from this replica, in place of the one that can't be followed. Other coordinators begin from its snapshot. */
async function restoreLog({ nc, jsm, names, networkId, path, snapshots, log }: Placing): Promise<Placed> {
  const replica = openReplica(path, networkId);
  try {
    const before = replica.position();
    if (before === null) throw new HearthlendError('LOG_MISSING', { stream: names.stream });
    const position = await reached(names, async () => {
      if ((await findLog(jsm, names)) !== null) await jsm.streams.delete(names.stream);
      return { log: (await makeLog(nc, jsm, names)).created, sequence: 0, mark: '' };
    });
    replica.follow(position);
    await snapshots.take(replica.database.db);
    log('warn', 'log-restored', { stream: names.stream, from: before.sequence });
    return { replica, position };
  } catch (thrown) {
    replica.close();
    throw thrown;
  }
}

/** What is there already; a damaged one is put aside, since it is only a copy. */
async function openLeft(path: string, networkId: string, log: Log): Promise<Replica | null> {
  try {
    return openReplica(path, networkId);
  } catch (thrown) {
    if (!(thrown instanceof HearthlendError) || thrown.code !== 'DATABASE_CORRUPT') throw thrown;
    log('error', 'replica-damaged', { path, detail: thrown.message });
    for (const file of filesOf(path)) if (existsSync(file)) await rename(file, `${file}.damaged`);
    return null;
  }
}

async function begin(
  info: StreamInfo,
  { jsm, names, networkId, path, snapshots, log }: Placing,
): Promise<{ replica: Replica; position: Position }> {
  const incoming = `${path}.incoming`;
  const restored = await snapshots.restore(info.created, incoming);
  const position = restored ?? { log: info.created, sequence: 0, mark: '' };
  if ((await reached(names, () => placeInLog(jsm, info, position))) === 'behind') {
    const detail = `it begins at ${info.state.first_seq}, and no snapshot goes so far`;
    throw new HearthlendError('LOG_TRUNCATED', { stream: names.stream, detail });
  }
  // All that a replica had which is there still is in the log's snapshot as well.
  for (const file of filesOf(path)) await rm(file, { force: true });
  if (restored !== null) {
    await rename(incoming, path);
    log('info', 'snapshot-restored', { stream: names.stream, sequence: restored.sequence });
  }
  const replica = openReplica(path, networkId);
  replica.follow(position);
  return { replica, position };
}

/** SQLite's file, and those that it keeps beside it. */
function filesOf(path: string): string[] {
  return [path, `${path}-wal`, `${path}-shm`];
}

async function reached<T>({ stream }: LogNames, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    if (thrown instanceof HearthlendError) throw thrown;
    throw new HearthlendError('STORE_UNREACHABLE', { stream, detail: (thrown as Error).message }, { cause: thrown });
  }
}
