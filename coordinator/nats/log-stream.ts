import { createHash } from 'node:crypto';
import { DiscardPolicy, JetStreamApiError, type JetStreamManager, RetentionPolicy, StorageType, type StreamInfo } from '@nats-io/jetstream';
import { type NatsConnection, nanos } from '@nats-io/nats-core';
import { HearthlendError } from '../../core/contract/errors.ts';
import { withCopies } from './copies.ts';

/** Snapshots keep it far below this; where none can be made, appends are refused before anything old is dropped. */
const MAX_BYTES = 2 ** 30;
/** How long nats-server knows a message again by its id: far longer than an append is tried. */
const DUPLICATE_WINDOW_MS = 120_000;
/** Source: JetStream's API error codes, nats-server/server/errors.json. */
const STREAM_NOT_FOUND = 10059;
const NAME_IN_USE = 10058;

/** Where a replica stands. */
export interface Position {
  /** The log that it follows, by the time at which its stream was made. */
  log: string;
  /** The last message that was applied; 0 before the first. */
  sequence: number;
  /** That message, by `markOf`: a server that lost the end of its log gives its sequence to another one. Empty where it is not known. */
  mark: string;
}

export function markOf(message: Uint8Array): string {
  return createHash('sha256').update(message).digest('base64url').slice(0, 22);
}

export interface LogNames {
  stream: string;
  subject: string;
}

/** A network's names in NATS: a point of its id would end a part of a subject, and is no letter of a stream's name. */
export function logNames(networkId: string): LogNames {
  const token = tokenOf(networkId);
  return { stream: `HL_${token}`, subject: `hl.${token}.log` };
}

/** A network's id without points. Ids have no capital letters, so no two become one. */
export function tokenOf(networkId: string): string {
  return networkId.replaceAll('.', 'P');
}

/** The log's stream; null where there is none. */
export async function findLog(jsm: JetStreamManager, { stream }: LogNames): Promise<StreamInfo | null> {
  try {
    return await jsm.streams.info(stream);
  } catch (thrown) {
    if (thrown instanceof JetStreamApiError && thrown.code === STREAM_NOT_FOUND) return null;
    throw thrown;
  }
}

/** Makes the log's stream, or finds that another coordinator just has. */
export async function makeLog(nc: NatsConnection, jsm: JetStreamManager, names: LogNames): Promise<StreamInfo> {
  try {
    return await withCopies(nc, (copies) =>
      jsm.streams.add({
        name: names.stream,
        num_replicas: copies,
        subjects: [names.subject],
        storage: StorageType.File,
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.New,
        max_bytes: MAX_BYTES,
        max_age: 0,
        max_msgs: -1,
        max_consumers: 64,
        duplicate_window: nanos(DUPLICATE_WINDOW_MS),
        allow_direct: false,
      }),
    );
  } catch (thrown) {
    const found = thrown instanceof JetStreamApiError && thrown.code === NAME_IN_USE ? await findLog(jsm, names) : null;
    if (found === null) throw thrown;
    return found;
  }
}

/**
 * Whether a replica can go on from where it stands. `behind`: the log begins after it, so it needs a snapshot; what it knows is all in there.
 * @throws LOG_REPLACED, LOG_TRUNCATED where the log does not have what the replica has
 */
export async function placeInLog(
  jsm: JetStreamManager,
  info: StreamInfo,
  { log, sequence, mark }: Position,
): Promise<'follows' | 'behind'> {
  const { config, created, state } = info;
  const stream = config.name;
  if (created !== log) throw new HearthlendError('LOG_REPLACED', { stream });
  if (state.last_seq < sequence) {
    throw new HearthlendError('LOG_TRUNCATED', { stream, detail: `it ends at ${state.last_seq}, and ${sequence} was applied here` });
  }
  if (state.first_seq > sequence + 1) return 'behind';
  const there = mark === '' || state.first_seq > sequence ? null : await jsm.streams.getMessage(stream, { seq: sequence });
  if (there !== null && markOf(there.data) !== mark) {
    throw new HearthlendError('LOG_TRUNCATED', { stream, detail: `${sequence} is another message than was applied here` });
  }
  return 'follows';
}
