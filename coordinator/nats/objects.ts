import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import {
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  JsHeaders,
  jetstream,
  jetstreamManager,
  PubHeaders,
} from '@nats-io/jetstream';
import { headers, type NatsConnection, nuid } from '@nats-io/nats-core';
import { Base64UrlPaddedCodec, Objm, StorageType } from '@nats-io/obj';
import { z } from 'zod';
import type { BlobRef } from '../../core/contract/digest.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { withCopies } from './copies.ts';

/** Large enough that a round trip for each costs little, and far below what a message may be. */
const CHUNK_BYTES = 256 * 1024;
/** How long one answer is waited for, and for how long in all it is asked for again where the server is away. */
const ANSWER_MS = 2000;
const ASK_WITHIN_MS = 15_000;
const ASK_AGAIN_MS = 200;
/** Source: nats-server/server/errors.json: no room; the last sequence is another. */
const FULL = new Set([10023, 10047, 10077]);
const WRONG_LAST_SEQUENCE = new Set([10070, 10071]);

/** What JetStream's object store keeps about an object. Source: nats-architecture-and-design, ADR-20. */
const Stored = z.looseObject({
  nuid: z.string(),
  size: z.int().min(0),
  chunks: z.int().min(0),
  digest: z.string(),
  deleted: z.boolean().optional(),
  metadata: z.record(z.string(), z.string()).nullish(),
});
type Stored = z.infer<typeof Stored>;

/** An object as it was found: whoever changes it says which one they saw. */
export interface StoredObject {
  name: string;
  bytes: number;
  metadata: Readonly<Record<string, string>>;
  /** What the bucket keeps about it, and the sequence of the message in which it does. */
  kept: Stored;
  revision: number;
}

/** A bucket of JetStream's object store, as several coordinators use it at once. Every method may reject with STORE_UNREACHABLE. */
export interface Objects {
  find(name: string): Promise<StoredObject | null>;
  /** Stores a file under a name; false where there is one under it, or has just been put by another. @throws STORE_FULL, FILE_UNREADABLE */
  put(name: string, path: string, metadata?: Record<string, string>): Promise<boolean>;
  /** Says that an object is still wanted; false where it was changed or removed since it was found. */
  touch(object: StoredObject): Promise<boolean>;
  /** Removes an object; false where it was changed, touched or removed since it was found. */
  remove(object: StoredObject): Promise<boolean>;
  /** Writes an object into a new file, piece by piece, each asked for again where the server was away; gives its SHA-256. @throws BLOB_TRUNCATED, DIGEST_MISMATCH */
  fetch(object: StoredObject, path: string): Promise<BlobRef>;
  names(): Promise<string[]>;
  /** Removes pieces of objects that were never finished, if they were put before `at` (ms since 1970). */
  removeAbandoned(at: number): Promise<void>;
  /** Bytes that the bucket takes on the server. */
  bytes(): Promise<number>;
}

/** Opens a bucket, made where it is missing. @throws STORE_UNREACHABLE */
export async function openObjects(nc: NatsConnection, bucket: string, description: string): Promise<Objects> {
  const js = jetstream(nc, { timeout: ANSWER_MS });
  try {
    const jsm = await jetstreamManager(nc, { timeout: ANSWER_MS });
    await withCopies(nc, (replicas) => new Objm(js).create(bucket, { description, storage: StorageType.File, replicas }));
    return objectsIn(js, jsm, bucket);
  } catch (thrown) {
    throw unreachable(thrown, bucket);
  }
}

function objectsIn(js: JetStreamClient, jsm: JetStreamManager, bucket: string): Objects {
  const stream = `OBJ_${bucket}`;
  const metaSubject = (name: string) => `$O.${bucket}.M.${Base64UrlPaddedCodec.encode(name)}`;
  const chunkSubject = ({ nuid }: Stored) => `$O.${bucket}.C.${nuid}`;

  async function reached<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (thrown) {
      throw unreachable(thrown, bucket);
    }
  }

  /** What is kept about a name, be it that it is deleted; revision 0 where there is nothing. */
  async function look(name: string): Promise<{ kept: Stored | null; revision: number }> {
    const message = await asked(() => jsm.streams.getMessage(stream, { last_by_subj: metaSubject(name) }));
    return message === null ? { kept: null, revision: 0 } : { kept: Stored.parse(message.json()), revision: message.seq };
  }

  async function find(name: string): Promise<StoredObject | null> {
    const { kept, revision } = await look(name);
    if (kept === null || kept.deleted === true) return null;
    return { name, bytes: kept.size, metadata: kept.metadata ?? {}, kept, revision };
  }

  /** Replaces what is kept about an object where that is still what was found; gives the sequence of what stands there now. */
  async function replace({ name, revision }: Pick<StoredObject, 'name' | 'revision'>, kept: Stored): Promise<number | null> {
    const own = headers();
    own.set(JsHeaders.RollupHdr, JsHeaders.RollupValueSubject);
    own.set(PubHeaders.ExpectedLastSubjectSequenceHdr, `${revision}`);
    try {
      return (await js.publish(metaSubject(name), JSON.stringify(kept), { headers: own })).seq;
    } catch (thrown) {
      if (isChanged(thrown)) return null;
      throw thrown;
    }
  }

  /** Puts a file's bytes, piece by piece, under an id of their own: each is sent again where no answer comes, and known again by its id. */
  async function upload(path: string): Promise<Pick<Stored, 'nuid' | 'size' | 'chunks' | 'digest'>> {
    const id = nuid.next();
    const hash = createHash('sha256');
    let size = 0;
    let chunks = 0;
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.byteLength;
      chunks += 1;
      const msgID = `${id}.${chunks}`;
      await asked(() => js.publish(`$O.${bucket}.C.${id}`, chunk, { msgID }));
    }
    return { nuid: id, size, chunks, digest: digestText(hash.digest()) };
  }

  /** The message of a subject from `sequence` on. */
  const piece = (subject: string, sequence: number) => asked(() => jsm.direct.getMessage(stream, { seq: sequence, next_by_subj: subject }));

  /** What ends a subject, of all subjects under `prefix`. */
  async function ends(prefix: string): Promise<string[]> {
    const { state } = await asked(() => jsm.streams.info(stream, { subjects_filter: `${prefix}>` }));
    return Object.keys(state.subjects ?? {}).map((subject) => subject.slice(prefix.length));
  }

  return {
    find: (name) => reached(() => find(name)),
    put: (name, path, metadata = {}) =>
      reached(async () => {
        const { kept, revision } = await look(name);
        if (kept !== null && kept.deleted !== true) return false;
        const uploaded = await upload(path);
        const own = { name, bucket, ...uploaded, metadata, mtime: new Date().toISOString(), options: { max_chunk_size: CHUNK_BYTES } };
        try {
          if ((await replace({ name, revision }, own)) !== null) return true;
        } catch (thrown) {
          // Perhaps it was taken, and only the answer was lost.
          if ((await look(name)).kept?.nuid === own.nuid) return true;
          throw thrown;
        }
        await jsm.streams.purge(stream, { filter: chunkSubject(own) });
        return false;
      }),
    touch: (object) => reached(async () => (await replace(object, object.kept)) !== null),
    remove: (object) =>
      reached(async () => {
        const { kept } = object;
        const sequence = await replace(object, { ...kept, deleted: true, size: 0, chunks: 0 });
        if (sequence === null) return false;
        await jsm.streams.purge(stream, { filter: chunkSubject(kept) });
        // The note that it is deleted, unless another was put in its place meanwhile.
        await jsm.streams.purge(stream, { filter: metaSubject(object.name), seq: sequence + 1 });
        return true;
      }),
    fetch: ({ name, kept }, path) =>
      reached(async () => {
        const file = await open(path, 'wx', 0o600);
        const hash = createHash('sha256');
        let bytes = 0;
        try {
          let sequence = 1;
          for (let chunk = 0; chunk < kept.chunks; chunk += 1) {
            const message = await piece(chunkSubject(kept), sequence);
            if (message === null) throw new HearthlendError('BLOB_TRUNCATED', { digest: name, bytes, expected: kept.size });
            hash.update(message.data);
            bytes += message.data.byteLength;
            await file.writeFile(message.data);
            sequence = message.seq + 1;
          }
          await file.datasync();
        } finally {
          await file.close();
        }
        const sha256 = hash.digest();
        if (kept.digest !== digestText(sha256)) {
          throw new HearthlendError('DIGEST_MISMATCH', {
            what: `${bucket}/${name}`,
            actual: sha256.toString('hex'),
            expected: kept.digest,
          });
        }
        return { digest: sha256.toString('hex'), bytes };
      }),
    names: () => reached(async () => (await ends(`$O.${bucket}.M.`)).map(nameFrom)),
    removeAbandoned: (at) =>
      reached(async () => {
        // Pieces first: what is finished in the meantime is known by then.
        const nuids = await ends(`$O.${bucket}.C.`);
        const known = new Set<string>();
        for (const name of await ends(`$O.${bucket}.M.`)) {
          const { kept } = await look(nameFrom(name));
          if (kept !== null) known.add(kept.nuid);
        }
        for (const nuid of nuids) {
          if (known.has(nuid)) continue;
          const first = await piece(`$O.${bucket}.C.${nuid}`, 1);
          if (first !== null && first.time.getTime() < at) await jsm.streams.purge(stream, { filter: `$O.${bucket}.C.${nuid}` });
        }
      }),
    bytes: () => reached(async () => (await asked(() => jsm.streams.info(stream))).state.bytes),
  };
}

/** Source: ADR-20. */
function digestText(sha256: Buffer): string {
  return `SHA-256=${Base64UrlPaddedCodec.encode(sha256)}`;
}

function nameFrom(encoded: string): string {
  return Buffer.from(encoded, 'base64url').toString();
}

/** Asks again where no answer comes: for what is the same when it is done twice. */
async function asked<T>(request: () => Promise<T>): Promise<T> {
  const until = performance.now() + ASK_WITHIN_MS;
  for (;;) {
    try {
      return await request();
    } catch (thrown) {
      // A cluster that is choosing who leads it says 503, and so do some that are full.
      const isFinal = thrown instanceof JetStreamApiError && (thrown.status !== 503 || FULL.has(thrown.code));
      if (isFinal || performance.now() > until) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }
}

/** Whether another was faster to change what an object's name stands for. */
function isChanged(thrown: unknown): boolean {
  return thrown instanceof JetStreamApiError && WRONG_LAST_SEQUENCE.has(thrown.code);
}

/** An error of NATS by our codes; those of files stay what they are. */
function unreachable(thrown: unknown, bucket: string): unknown {
  if (thrown instanceof HearthlendError || (thrown instanceof Error && 'errno' in thrown)) return thrown;
  const detail = (thrown as Error).message;
  const code = thrown instanceof JetStreamApiError && FULL.has(thrown.code) ? 'STORE_FULL' : 'STORE_UNREACHABLE';
  return new HearthlendError(code, { stream: bucket, detail }, { cause: thrown });
}
