import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  existsSync,
  fdatasync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { link, open, readFile, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BlobRef, Sha256 } from '../core/contract/digest.ts';
import { HearthlendError } from '../core/contract/errors.ts';

/** Bytes by digest: models, inputs, outputs. Every method may reject with DISK_FULL or FILE_UNREADABLE. */
export interface Blobs {
  /** @param kept a file with these bytes that is durable already: it is linked, where that can be, instead of being written again */
  putBytes(bytes: Uint8Array, kept?: string): Promise<BlobRef>;
  /**
   * Takes a file in without reading it into memory: by a hard link, or a copy where none can be made. A linked file that its owner changes afterwards
   * no longer has its digest, which the reader finds.
   * @throws DIGEST_MISMATCH, FILE_UNREADABLE
   */
  putFile(path: string, expected: BlobRef): Promise<void>;
  /** A file with these bytes on this machine; where they have to be fetched first, their digest was checked. @throws BLOB_MISSING */
  path(digest: Sha256): Promise<string>;
  /** The bytes, with their digest checked. @throws BLOB_MISSING, DIGEST_MISMATCH */
  read(digest: Sha256): Promise<Uint8Array>;
  remove(digest: Sha256): Promise<void>;
  /**
   * Removes everything but what is held. Bytes have to be held before they are put.
   * @param held asked when what there is is known, so that it covers all of it
   */
  keepOnly(held: () => Promise<ReadonlySet<Sha256>>): Promise<void>;
}

/** Blobs as files of one folder. */
export interface FileBlobs extends Blobs {
  /** What there is. */
  digests(): Sha256[];
}

/** Up to this bytes are written at once: handing them to another thread, call by call, takes longer than writing them. */
const AT_ONCE_BYTES = 1 << 16;
const datasynced = promisify(fdatasync);

/** What is being written, until it is whole. */
const INCOMING = 'incoming-';

/** Blobs as files of one folder, named by their digests. What was only half written before is removed. @throws DATA_DIR_UNWRITABLE */
export function openBlobs(dir: string): FileBlobs {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(dir)) if (name.startsWith(INCOMING)) rmSync(join(dir, name), { force: true, recursive: true });
  } catch (thrown) {
    throw new HearthlendError('DATA_DIR_UNWRITABLE', { path: dir, detail: (thrown as Error).message }, { cause: thrown });
  }
  let temporaries = 0;
  const temporary = () => {
    temporaries += 1;
    return join(dir, `${INCOMING}${process.pid}-${temporaries}`);
  };
  const at = (digest: Sha256) => join(dir, Sha256.parse(digest));

  /** Runs `write` on a new name and puts what it wrote in place; leaves nothing behind otherwise. */
  async function place(digest: Sha256, write: (path: string) => Promise<void>, small = false): Promise<void> {
    const path = temporary();
    try {
      await write(path);
      if (small) renameSync(path, at(digest));
      else await rename(path, at(digest));
    } catch (thrown) {
      await rm(path, { force: true });
      throw fileError(thrown, path);
    }
  }

  async function isThere(digest: Sha256): Promise<boolean> {
    if (!existsSync(at(digest))) return false;
    try {
      return (await digestOf(at(digest))).digest === digest;
    } catch (thrown) {
      if (codeOf(thrown) === 'ENOENT') return false;
      throw fileError(thrown, at(digest));
    }
  }

  return {
    async putBytes(bytes, kept) {
      const digest = createHash('sha256').update(bytes).digest('hex');
      if (kept !== undefined && links(kept, at(digest))) return { digest, bytes: bytes.byteLength };
      if (!(await isThere(digest))) {
        if (bytes.byteLength <= AT_ONCE_BYTES) await place(digest, (path) => writeSmall(path, bytes), true);
        else await place(digest, (path) => writeLarge(path, bytes));
      }
      return { digest, bytes: bytes.byteLength };
    },
    async putFile(path, expected) {
      if (await isThere(expected.digest)) return;
      await place(expected.digest, async (target) => {
        const linked = await tryLink(path, target);
        const actual = linked ? await digestOf(target) : await copy(path, target);
        if (actual.digest !== expected.digest || actual.bytes !== expected.bytes) {
          throw new HearthlendError('DIGEST_MISMATCH', { what: path, actual: actual.digest, expected: expected.digest });
        }
      });
    },
    async path(digest) {
      if (!Sha256.safeParse(digest).success || !existsSync(at(digest))) throw new HearthlendError('BLOB_MISSING', { digest });
      return at(digest);
    },
    async read(digest) {
      const path = await this.path(digest);
      try {
        const bytes = await readFile(path);
        const actual = createHash('sha256').update(bytes).digest('hex');
        if (actual !== digest) throw new HearthlendError('DIGEST_MISMATCH', { what: path, actual, expected: digest });
        return bytes;
      } catch (thrown) {
        throw fileError(thrown, path);
      }
    },
    async remove(digest) {
      await unlink(at(digest)).catch((thrown: unknown) => {
        if (codeOf(thrown) !== 'ENOENT') throw thrown;
      });
    },
    async keepOnly(held) {
      const there = readdirSync(dir);
      const digests = await held();
      for (const name of there) {
        if (!digests.has(name) && !name.startsWith(INCOMING)) rmSync(join(dir, name), { force: true, recursive: true });
      }
    },
    digests: () => readdirSync(dir).filter((name) => Sha256.safeParse(name).success),
  };
}

async function writeSmall(path: string, bytes: Uint8Array): Promise<void> {
  const file = openSync(path, 'wx', 0o600);
  try {
    for (let written = 0; written < bytes.byteLength; ) written += writeSync(file, bytes, written);
    await datasynced(file);
  } finally {
    closeSync(file);
  }
}

async function writeLarge(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
}

/** False where it can't be linked, or something is there already. */
function links(path: string, target: string): boolean {
  try {
    linkSync(path, target);
    return true;
  } catch {
    return false;
  }
}

/** False where the file system can't: another disk, no links, or a file that isn't ours to link. */
async function tryLink(path: string, target: string): Promise<boolean> {
  try {
    // Linux links to a symbolic link itself, which would point elsewhere tomorrow.
    await link(await realpath(path), target);
  } catch (thrown) {
    if (['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'ENOSYS', 'EACCES'].includes(codeOf(thrown))) return false;
    throw thrown;
  }
  return true;
}

async function digestOf(path: string): Promise<BlobRef> {
  const hash = createHash('sha256');
  let bytes = 0;
  // Most are small, and each buffer is made anew.
  const highWaterMark = Math.min(Math.max((await stat(path)).size, 1), 1 << 20);
  for await (const chunk of createReadStream(path, { highWaterMark })) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).byteLength;
  }
  return { digest: hash.digest('hex'), bytes };
}

async function copy(path: string, target: string): Promise<BlobRef> {
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(target, 'wx', 0o600);
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).byteLength;
      await file.writeFile(chunk as Buffer);
    }
    await file.datasync();
  } finally {
    await file.close();
  }
  return { digest: hash.digest('hex'), bytes };
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}

function fileError(thrown: unknown, path: string): unknown {
  if (thrown instanceof HearthlendError) return thrown;
  const code = codeOf(thrown);
  if (code === 'ENOSPC' || code === 'EDQUOT') return new HearthlendError('DISK_FULL', { path }, { cause: thrown });
  if (code === '') return thrown;
  const failedAt = (thrown as NodeJS.ErrnoException).path ?? path;
  return new HearthlendError('FILE_UNREADABLE', { path: failedAt, detail: (thrown as Error).message }, { cause: thrown });
}
