import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { canonicalJson, type Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { ModelManifest } from '../contract/model.ts';

/** The one name of a model: SHA-256 of its manifest's canonical JSON, and so of every byte it is made of. */
export function modelDigest(manifest: ModelManifest): Sha256 {
  return sha256(new TextEncoder().encode(canonicalJson(manifest)));
}

export function sha256(bytes: Uint8Array): Sha256 {
  return createHash('sha256').update(bytes).digest('hex');
}

const READ_BYTES = 1 << 20;
const MAX_REMEMBERED = 4096;
/** A file written this recently may be written again without its time moving on: FAT counts in steps of 2 s. */
const SETTLED_MS = 2000;
const remembered = new Map<string, Sha256>();

/** A file that was hashed: its size and digest belong together, though it was read in pieces. */
export interface HashedFile {
  bytes: number;
  digest: Sha256;
}

/**
 * SHA-256 of a file, by streaming. Remembered in this process's memory, never on disk, for as long as the file keeps device, inode, size and
 * modification time; so a file is read once after each start, however often it is used. Who changes bytes and puts the old time back is
 * running as this user and needs no such trick.
 * @throws FILE_UNREADABLE, also where the file changes while it is read
 */
export async function hashFile(path: string): Promise<HashedFile> {
  try {
    return await hashContents(path);
  } catch (cause) {
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: (cause as Error).message }, { cause });
  }
}

async function hashContents(path: string): Promise<HashedFile> {
  const before = await identify(path);
  const known = remembered.get(before.key);
  if (known !== undefined) return { bytes: before.bytes, digest: known };
  const hash = createHash('sha256');
  // One buffer for the whole file: a stream would leave a gigabyte of them to the garbage collector.
  const file = await open(path);
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, READ_BYTES, null);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
  const digest = hash.digest('hex');
  const after = await identify(path);
  if (after.key !== before.key) throw new Error('it changed while it was read');
  if (Date.now() - after.modifiedMs > SETTLED_MS) remember(after.key, digest);
  return { bytes: after.bytes, digest };
}

/** Records the digest of a file that this process has just written and hashed itself. */
export async function rememberDigest(path: string, digest: Sha256): Promise<void> {
  remember((await identify(path)).key, digest);
}

function remember(key: string, digest: Sha256): void {
  remembered.set(key, digest);
  if (remembered.size <= MAX_REMEMBERED) return;
  for (const oldest of remembered.keys()) {
    remembered.delete(oldest);
    return;
  }
}

async function identify(path: string): Promise<{ key: string; bytes: number; modifiedMs: number }> {
  const { dev, ino, size, mtimeNs, mtimeMs } = await stat(path, { bigint: true });
  return { key: `${dev}:${ino}:${size}:${mtimeNs}`, bytes: Number(size), modifiedMs: Number(mtimeMs) };
}
