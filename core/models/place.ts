import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { constants, copyFile, link, open, realpath, rename, rm, stat } from 'node:fs/promises';
import type { BlobRef } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { BlobSource } from '../contract/network.ts';
import { storageError } from '../contract/storage-error.ts';
import { hashFile, rememberDigest } from './digest.ts';
import { blobChunks, type FetchBlob, verifyDigest } from './fetch.ts';

/** Where the bytes of one blob go. */
export interface Places {
  /** Bytes of the store's own. */
  blob: string;
  /** A second name of a file that lies elsewhere on the same disk. */
  linked: string;
  /** What has come so far. */
  part: string;
}

/**
 * Brings one blob into the store and verifies every byte before it gets its name: a file is linked (copied from another disk), a stream is
 * written to a part file, from where it ended the last time.
 * @param reserve makes room for bytes of the store's own, and throws where there is none
 * @throws DIGEST_MISMATCH (nothing of it is kept), BLOB_TRUNCATED (what came is kept for the next try), BLOB_MISSING, DISK_FULL, DATA_DIR_UNWRITABLE
 */
export async function placeBlob(
  ref: BlobRef,
  fetch: FetchBlob,
  places: Places,
  reserve: () => Promise<void>,
  stallMs: number,
): Promise<string> {
  const offset = await partBytes(places.part, ref.bytes);
  // All of it may have come before a crash, or be nothing.
  const first = offset === ref.bytes ? undefined : await fetch(ref.digest, offset);
  try {
    if (first?.type === 'file') return await placeFile(ref, first.path, places, reserve);
    await reserve();
  } catch (error) {
    if (first?.type === 'stream') await first.stream[Symbol.asyncIterator]().return?.();
    throw error;
  }
  try {
    return await placeStream(ref, fetch, places, { offset, first, stallMs });
  } catch (error) {
    // What was left of an earlier try may have been the bad part: once more, from the start.
    if (offset === 0 || !(error instanceof HearthlendError) || error.code !== 'DIGEST_MISMATCH') throw error;
    return await placeStream(ref, fetch, places, { offset: 0, first: undefined, stallMs });
  }
}

async function partBytes(part: string, bytes: number): Promise<number> {
  const size = await stat(part).then(
    (file) => file.size,
    () => 0,
  );
  if (size <= bytes) return size;
  await rm(part, { force: true });
  return 0;
}

async function placeFile(ref: BlobRef, source: string, places: Places, reserve: () => Promise<void>): Promise<string> {
  const real = await realpath(source).catch((cause: unknown) => {
    throw new HearthlendError('BLOB_MISSING', { digest: ref.digest }, { cause });
  });
  await onDisk(places.linked, () => rm(places.linked, { force: true }));
  try {
    await link(real, places.linked);
  } catch (cause) {
    if (!LINK_REFUSED.has((cause as NodeJS.ErrnoException).code ?? '')) throw storageError(places.linked, cause);
    return copyIn(ref, real, places, reserve);
  }
  return await verified(ref, places.linked);
}

/** Another disk, a file system without links, a protected file of another user, too many links. */
const LINK_REFUSED = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK', 'EACCES']);

async function copyIn(ref: BlobRef, source: string, places: Places, reserve: () => Promise<void>): Promise<string> {
  await reserve();
  await onDisk(places.part, async () => {
    await rm(places.part, { force: true });
    await copyFile(source, places.part, constants.COPYFILE_FICLONE);
  }).catch(async (error: unknown) => {
    await rm(places.part, { force: true });
    throw error;
  });
  await verified(ref, places.part);
  await onDisk(places.blob, () => rename(places.part, places.blob));
  return places.blob;
}

/** Hashes what was linked or copied, not what was named; a link has its file's inode, so a file used again and again is read once. */
async function verified(ref: BlobRef, path: string): Promise<string> {
  const { digest } = await hashFile(path);
  if (digest !== ref.digest) await rm(path, { force: true });
  verifyDigest(ref.digest, digest);
  return path;
}

async function placeStream(
  ref: BlobRef,
  fetch: FetchBlob,
  places: Places,
  start: { offset: number; first: BlobSource | undefined; stallMs: number },
): Promise<string> {
  const hash = createHash('sha256');
  if (start.offset > 0) for await (const chunk of createReadStream(places.part)) hash.update(chunk as Buffer);
  const part = await onDisk(places.part, () => open(places.part, start.offset > 0 ? 'a' : 'w', 0o600));
  try {
    for await (const chunk of blobChunks(ref, fetch, start)) {
      hash.update(chunk);
      await onDisk(places.part, () => part.writeFile(chunk));
    }
    await onDisk(places.part, () => part.sync());
  } catch (error) {
    await part.close();
    // A full disk gets its space back; anything else leaves what has come for the next try.
    if (error instanceof HearthlendError && error.code === 'DISK_FULL') await rm(places.part, { force: true });
    throw error;
  }
  await part.close();
  const digest = hash.digest('hex');
  if (digest !== ref.digest) await rm(places.part, { force: true });
  verifyDigest(ref.digest, digest);
  await onDisk(places.blob, () => rename(places.part, places.blob));
  await rememberDigest(places.blob, digest);
  return places.blob;
}

/** Whether a file is there and is what its name says; one that isn't is removed, to be fetched again. */
export async function isWhole(blob: BlobRef, path: string): Promise<boolean> {
  const there = await stat(path).catch(() => undefined);
  if (there === undefined) return false;
  if (there.size === blob.bytes && (await hashFile(path)).digest === blob.digest) return true;
  await onDisk(path, () => rm(path, { force: true }));
  return false;
}

/** Runs file operations of the store; its errors are about the disk, not about the data. @throws DISK_FULL, DATA_DIR_UNWRITABLE */
export async function onDisk<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (cause) {
    throw storageError(path, cause);
  }
}
