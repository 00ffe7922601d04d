import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Sha256 } from '../../core/contract/digest.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { storageError } from '../../core/contract/storage-error.ts';
import type { Blobs } from '../blobs.ts';
import type { Holding } from '../holding.ts';
import type { Log } from '../log.ts';
import type { Worker } from '../service.ts';
import type { Store } from '../store.ts';

/** Outputs that were put and not handed in are kept for as long as a worker may need to say so. */
const KEPT_MS = 15 * 60_000;

/** Outputs too large for a message, between their PUT and the submission that names them. */
export interface Uploads {
  /** Takes what a worker is about to hand in. @throws BLOB_REFUSED, DIGEST_MISMATCH, DISK_FULL */
  put(worker: Worker, digest: Sha256, bytes: number, content: Readable): Promise<void>;
  has(worker: Worker, digest: Sha256): Promise<boolean>;
  /** @throws BLOB_MISSING */
  take(worker: Worker, digest: Sha256): Promise<Uint8Array>;
  /** They were handed in, and whoever needs them holds them by now. */
  done(worker: Worker, digest: Sha256): void;
  close(): void;
}

interface UploadsOptions {
  /** A folder of its own, emptied. */
  dir: string;
  blobs: Blobs;
  holding: Holding;
  store: Pick<Store, 'openAttempts' | 'shard' | 'isHolder'>;
  log: Log;
}

export function openUploads({ dir, blobs, holding, store, log }: UploadsOptions): Uploads {
  try {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw storageError(dir, thrown);
  }
  const kept = new Map<string, NodeJS.Timeout>();
  const underWay = new Map<string, number>();
  let files = 0;
  const holderOf = (worker: Worker, digest: Sha256) => `upload:${worker.address}:${digest}`;

  /** As many outputs as it has leases, none larger than the largest that one of them allows. */
  async function requireExpected(worker: Worker, digest: Sha256, bytes: number): Promise<void> {
    const attempts = (await store.openAttempts()).filter((attempt) => attempt.worker === worker.address && attempt.state !== 'disputed');
    const limits = await Promise.all(attempts.map(async ({ shardId }) => (await store.shard(shardId))?.shard.limits.outputBytes ?? 0));
    const waiting = [...kept.keys()].filter(
      (holder) => holder.startsWith(`upload:${worker.address}:`) && holder !== holderOf(worker, digest),
    ).length;
    const open = (underWay.get(worker.address) ?? 0) + waiting;
    if (open >= limits.length || bytes > Math.max(0, ...limits)) throw new HearthlendError('BLOB_REFUSED', { digest });
  }

  async function receive(path: string, digest: Sha256, bytes: number, content: Readable): Promise<void> {
    const hash = createHash('sha256');
    let received = 0;
    const file = await open(path, 'wx', 0o600);
    try {
      for await (const chunk of content) {
        received += (chunk as Buffer).byteLength;
        if (received > bytes) throw new HearthlendError('BLOB_REFUSED', { digest });
        hash.update(chunk as Buffer);
        await file.writeFile(chunk as Buffer);
      }
    } finally {
      await file.close();
    }
    const actual = hash.digest('hex');
    if (actual !== digest || received !== bytes)
      throw new HearthlendError('DIGEST_MISMATCH', { what: 'outputs', actual, expected: digest });
  }

  function letGo(holder: string): void {
    clearTimeout(kept.get(holder));
    kept.delete(holder);
    holding.letGo(holder).catch((thrown: unknown) => log('error', 'upload-not-let-go', { detail: (thrown as Error).message }));
  }

  return {
    async put(worker, digest, bytes, content) {
      await requireExpected(worker, digest, bytes);
      underWay.set(worker.address, (underWay.get(worker.address) ?? 0) + 1);
      files += 1;
      const path = join(dir, String(files));
      try {
        await receive(path, digest, bytes, content);
        const holder = holderOf(worker, digest);
        await holding.hold(holder, [digest]);
        await blobs.putFile(path, { digest, bytes });
        clearTimeout(kept.get(holder));
        kept.set(holder, setTimeout(() => letGo(holder), KEPT_MS).unref());
      } catch (thrown) {
        throw storageError(path, thrown);
      } finally {
        const left = (underWay.get(worker.address) ?? 1) - 1;
        if (left === 0) underWay.delete(worker.address);
        else underWay.set(worker.address, left);
        await rm(path, { force: true });
      }
    },
    has: (worker, digest) => store.isHolder(holderOf(worker, digest)),
    async take(worker, digest) {
      // Put by this worker: what others hold under this digest is none of its business.
      if (!(await store.isHolder(holderOf(worker, digest)))) throw new HearthlendError('BLOB_MISSING', { digest });
      return blobs.read(digest);
    },
    done: (worker, digest) => letGo(holderOf(worker, digest)),
    close() {
      for (const timer of kept.values()) clearTimeout(timer);
    },
  };
}
