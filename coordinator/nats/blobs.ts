import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/nats-core';
import { type BlobRef, Sha256 } from '../../core/contract/digest.ts';
import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import { createSerial } from '../../core/contract/serial.ts';
import { type Blobs, openBlobs } from '../blobs.ts';
import type { Log } from '../log.ts';
import { tokenOf } from './log-stream.ts';
import { openObjects } from './objects.ts';
import type { NatsStore } from './store.ts';

/** Where nothing else was said: what all coordinators of a network keep in JetStream together. */
const MAX_BYTES = 64 * 2 ** 30;
/** Pieces of an upload that nobody finished are removed after this, by any clock. */
const ABANDONED_MS = 86_400_000;
/** How often an upload is begun again that meets another one's under the same name. */
const TRIES = 5;
const MEASURE_EVERY_MS = 5000;

export interface NatsBlobsOptions {
  nc: NatsConnection;
  /** A folder of this coordinator alone: what it has put or fetched. */
  dir: string;
  networkId: string;
  state: Pick<NatsStore, 'store' | 'caughtUp'>;
  /** Bytes in the bucket beyond which nothing more is put; 64 GiB where left out. */
  maxBytes?: number;
  /** ms since 1970. */
  clock: () => number;
  log: Log;
}

/**
 * Blobs that several coordinators share: a bucket of JetStream's object store holds them, and each coordinator has files of those that it put or
 * fetched. Who removes bytes says which upload they saw, and who finds them there already says that they are wanted still, so that bytes that one
 * lets go of and another holds at the same time stay. Methods may also reject with STORE_UNREACHABLE and STORE_FULL.
 * @throws DATA_DIR_UNWRITABLE, STORE_UNREACHABLE
 */
export async function openNatsBlobs({ nc, dir, networkId, state, maxBytes = MAX_BYTES, clock, log }: NatsBlobsOptions): Promise<Blobs> {
  const { store, caughtUp } = state;
  const files = openBlobs(dir);
  const bucket = `HL_${tokenOf(networkId)}_blobs`;
  const objects = await openObjects(nc, bucket, `Hearthlend ${networkId}: models, inputs and outputs`);
  const queues = new Map<Sha256, { run: ReturnType<typeof createSerial>; tasks: number }>();
  let fetches = 0;
  let measured = { bytes: 0, at: Number.NEGATIVE_INFINITY };
  /** Bytes that were put here and of which somebody held each ever since: they are in the bucket. */
  const kept = new Set<Sha256>();
  const putting = new Map<Sha256, { released: boolean }>();

  /** One thing at a time is done with the same bytes, so that none is taken for there that is being removed. */
  async function alone<T>(digest: Sha256, task: () => Promise<T>): Promise<T> {
    const queue = queues.get(digest) ?? { run: createSerial(), tasks: 0 };
    queues.set(digest, queue);
    queue.tasks += 1;
    try {
      return await queue.run(task);
    } finally {
      queue.tasks -= 1;
      if (queue.tasks === 0) queues.delete(digest);
    }
  }

  /** What the bucket takes: asked for now and then, and always before something is refused. */
  async function takenBytes(more: number): Promise<number> {
    if (measured.bytes + more > maxBytes || performance.now() - measured.at > MEASURE_EVERY_MS) {
      measured = { bytes: await objects.bytes(), at: performance.now() };
    }
    return measured.bytes;
  }

  /** Makes sure that the bucket has what is in a file here. */
  async function share({ digest, bytes }: BlobRef): Promise<void> {
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const found = await objects.find(digest);
      if (found !== null) {
        if (await objects.touch(found)) return;
        continue;
      }
      const taken = await takenBytes(bytes);
      if (taken + bytes > maxBytes)
        throw new HearthlendError('STORE_FULL', { stream: bucket, detail: `${taken} of ${maxBytes} bytes are taken` });
      if (await objects.put(digest, await files.path(digest))) {
        measured.bytes += bytes;
        return;
      }
    }
    throw new HearthlendError('STORE_UNREACHABLE', { stream: bucket, detail: `others kept changing ${digest}` });
  }

  async function put(digest: Sha256, take: () => Promise<BlobRef>): Promise<void> {
    await alone(digest, async () => {
      if (kept.has(digest)) return;
      const state = { released: !store.isHeld(digest) };
      putting.set(digest, state);
      try {
        await share(await take());
        if (!state.released) kept.add(digest);
      } finally {
        putting.delete(digest);
      }
    });
  }

  /** Brings bytes here that another coordinator put. */
  async function fetch(digest: Sha256): Promise<void> {
    const found = Sha256.safeParse(digest).success ? await objects.find(digest) : null;
    if (found === null) throw new HearthlendError('BLOB_MISSING', { digest });
    fetches += 1;
    const incoming = join(dir, `incoming-fetched-${fetches}`);
    try {
      const { bytes } = await objects.fetch(found, incoming);
      await files.putFile(incoming, { digest, bytes });
    } finally {
      await rm(incoming, { force: true });
    }
  }

  /** A file here; null where there is none yet. */
  async function here(digest: Sha256): Promise<string | null> {
    try {
      return await files.path(digest);
    } catch (thrown) {
      if (isCode(thrown, 'BLOB_MISSING')) return null;
      throw thrown;
    }
  }

  async function path(digest: Sha256): Promise<string> {
    const found = await here(digest);
    if (found !== null) return found;
    // Whoever else wants them waits for the same bytes.
    return alone(digest, async () => {
      if ((await here(digest)) === null) await fetch(digest);
      return files.path(digest);
    });
  }

  async function remove(digest: Sha256): Promise<void> {
    await alone(digest, async () => {
      const found = await objects.find(digest);
      // Whoever holds them from here on finds this upload, and touches it.
      await caughtUp();
      if (store.isHeld(digest)) return;
      kept.delete(digest);
      await files.remove(digest);
      if (found !== null) await objects.remove(found);
    });
  }

  store.onApplied(({ name, result, own }) => {
    if (name !== 'letGo') return;
    for (const digest of result) {
      kept.delete(digest);
      const under = putting.get(digest);
      if (under !== undefined) under.released = true;
      if (own) continue;
      alone(digest, async () => {
        if (!store.isHeld(digest)) await files.remove(digest);
      }).catch((thrown: unknown) => log('warn', 'blob-not-removed', { digest, detail: asHearthlendError(thrown).message }));
    }
  });

  return {
    async putBytes(bytes) {
      const digest = createHash('sha256').update(bytes).digest('hex');
      if (!kept.has(digest)) await put(digest, () => files.putBytes(bytes));
      return { digest, bytes: bytes.byteLength };
    },
    putFile: (from, expected) =>
      put(expected.digest, async () => {
        await files.putFile(from, expected);
        return expected;
      }),
    path,
    async read(digest) {
      await path(digest);
      try {
        return await files.read(digest);
      } catch (thrown) {
        if (!isCode(thrown, 'DIGEST_MISMATCH')) throw thrown;
      }
      // The file here is damaged; the bucket's bytes need not be.
      await alone(digest, async () => {
        await files.remove(digest);
        await fetch(digest);
      });
      return files.read(digest);
    },
    remove,
    async keepOnly(held) {
      const there = new Set([...files.digests(), ...(await objects.names())]);
      await caughtUp();
      const digests = await held();
      for (const digest of there) if (!digests.has(digest)) await remove(digest);
      await objects.removeAbandoned(clock() - ABANDONED_MS);
    },
  };
}

function isCode(thrown: unknown, code: string): boolean {
  return thrown instanceof HearthlendError && thrown.code === code;
}
