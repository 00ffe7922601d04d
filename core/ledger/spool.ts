import { createHash, randomUUID } from 'node:crypto';
import { closeSync, existsSync, fsync, openSync, renameSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import { storageError } from '../contract/storage-error.ts';

/** Results by digest: on disk before they are recorded, until they are accepted. Each is a file of its own, readable for the user alone. */
export interface Spool {
  /** Where one that was put lies. */
  path(digest: Sha256): string;
  /** Durable when it resolves. @throws DIGEST_MISMATCH, DISK_FULL, DATA_DIR_UNWRITABLE */
  put(digest: Sha256, bytes: Uint8Array): Promise<void>;
  /** The bytes, checked. `shard` is whose they are, for the message. @throws SPOOL_LOST, DIGEST_MISMATCH */
  get(digest: Sha256, shard: string): Promise<Uint8Array>;
  /** Deletes; nothing happens where it is gone. One that a power cut brings back is swept. Ask `Ledger.isAwaited` first: two attempts may have one result. */
  remove(digest: Sha256): Promise<void>;
  /** Deletes all but these: what a crash left behind. */
  sweep(keep: ReadonlySet<Sha256>): Promise<void>;
}

/** Up to this a result is written at once: handing it to another thread, call by call, takes longer than writing it. */
const AT_ONCE_BYTES = 1 << 16;
const synced = promisify(fsync);

/** @throws DATA_DIR_UNWRITABLE, DISK_FULL */
export async function openSpool(folder: string): Promise<Spool> {
  await stored(folder, () => mkdir(folder, { recursive: true, mode: 0o700 }));
  const syncNames = folderSync(folder);
  return {
    path: (digest) => join(folder, Sha256.parse(digest)),
    async put(digest, bytes) {
      check(digest, bytes, 'The new result');
      await stored(folder, () => write(folder, digest, bytes, syncNames));
    },
    async get(digest, shard) {
      const path = join(folder, Sha256.parse(digest));
      if (!existsSync(path)) throw new HearthlendError('SPOOL_LOST', { shard });
      const bytes = await stored(folder, () => readFile(path));
      check(digest, bytes, `The recorded result of task ${shard}`);
      return bytes;
    },
    remove: (digest) => stored(folder, () => unlink(join(folder, Sha256.parse(digest))).catch(unlessGone)),
    sweep: (keep) =>
      stored(folder, async () => {
        for (const name of await readdir(folder)) if (!keep.has(name)) await rm(join(folder, name), { force: true, recursive: true });
      }),
  };
}

async function stored<T>(folder: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (thrown) {
    throw storageError(folder, thrown);
  }
}

function check(digest: Sha256, bytes: Uint8Array, what: string): void {
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== digest) throw new HearthlendError('DIGEST_MISMATCH', { what, actual, expected: digest });
}

function unlessGone(thrown: unknown): void {
  if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
}

async function write(folder: string, digest: Sha256, bytes: Uint8Array, syncNames: () => Promise<void>): Promise<void> {
  const partial = join(folder, `${digest}.${randomUUID()}.partial`);
  try {
    if (bytes.byteLength <= AT_ONCE_BYTES) {
      await writeSmall(partial, bytes);
      renameSync(partial, join(folder, digest));
    } else {
      await writeLarge(partial, bytes);
      await rename(partial, join(folder, digest));
    }
    await syncNames();
  } catch (thrown) {
    await rm(partial, { force: true });
    throw thrown;
  }
}

async function writeSmall(path: string, bytes: Uint8Array): Promise<void> {
  const file = openSync(path, 'wx', 0o600);
  try {
    for (let written = 0; written < bytes.byteLength; ) written += writeSync(file, bytes, written);
    await synced(file);
  } finally {
    closeSync(file);
  }
}

async function writeLarge(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes names in a folder durable: those that are asked for together, together. Windows has no such call, and does so by itself. */
function folderSync(folder: string): () => Promise<void> {
  let next: Promise<void> | undefined;
  let running: Promise<void> = Promise.resolve();
  const sync = async () => {
    next = undefined;
    if (process.platform === 'win32') return;
    const file = await open(folder, 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  };
  return () => {
    if (next === undefined) {
      next = running.then(sync);
      running = next.catch(() => undefined);
    }
    return next;
  };
}
