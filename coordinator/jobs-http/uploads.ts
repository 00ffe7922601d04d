import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync } from 'node:fs';
import { open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { BlobRef, Sha256 } from '../../core/contract/digest.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { storageError } from '../../core/contract/storage-error.ts';

/** Whole uploads and unfinished ones stay this long after they were touched last: for the next job on the same model, and for the next try. */
const KEPT_MS = 86_400_000;
/** Of one requester. */
const MAX_FILES = 4096;
const MAX_BYTES = 64 * 2 ** 30;

/** Models and inputs of requesters, piece after piece, until jobs take them over. */
export interface RequesterUploads {
  /** Bytes of it that are here; `whole` once all of them are, and have that digest. */
  state(requester: string, digest: Sha256): Promise<{ offset: number; whole: boolean }>;
  /** Puts a piece where the ones before it end. @throws UPLOAD_INVALID, NETWORK_BUSY while another is coming, DIGEST_MISMATCH where all of it is here and it is something else, DISK_FULL */
  put(requester: string, blob: BlobRef, offset: number, content: Readable): Promise<{ offset: number; whole: boolean }>;
  /** Where a whole upload lies; null where there is none. It stays for another day. */
  take(requester: string, blob: BlobRef): Promise<string | null>;
  /** Removes what nobody came back to. @param now ms since 1970 */
  tidy(now: number): Promise<void>;
}

/** @param dir a folder of its own @throws DATA_DIR_UNWRITABLE */
export function openRequesterUploads(dir: string): RequesterUploads {
  const underWay = new Set<string>();
  const folderOf = (requester: string) => join(dir, createHash('sha256').update(requester).digest('hex').slice(0, 32));

  async function sizeOf(path: string): Promise<number | null> {
    try {
      return (await stat(path)).size;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw storageError(path, thrown);
    }
  }

  async function state(requester: string, digest: Sha256): Promise<{ offset: number; whole: boolean }> {
    const whole = await sizeOf(join(folderOf(requester), digest));
    if (whole !== null) return { offset: whole, whole: true };
    return { offset: (await sizeOf(join(folderOf(requester), `${digest}.part`))) ?? 0, whole: false };
  }

  /** @throws UPLOAD_INVALID */
  async function requireRoom(requester: string, digest: Sha256, bytes: number): Promise<void> {
    const folder = folderOf(requester);
    const names = (await readdir(folder)).filter((name) => !name.startsWith(digest));
    const sizes = await Promise.all(names.map((name) => sizeOf(join(folder, name))));
    const used = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
    if (names.length >= MAX_FILES || used + bytes > MAX_BYTES) {
      throw new HearthlendError('UPLOAD_INVALID', {
        digest,
        detail: `${MAX_FILES} files of ${MAX_BYTES} bytes together are the most for one key`,
      });
    }
  }

  return {
    state,
    async put(requester, { digest, bytes }, offset, content) {
      const folder = folderOf(requester);
      const part = join(folder, `${digest}.part`);
      const invalid = (detail: string) => new HearthlendError('UPLOAD_INVALID', { digest, detail });
      // Another job of theirs, or what is left of a connection that broke: it is over soon, and then this piece may be here.
      if (underWay.has(part)) throw new HearthlendError('NETWORK_BUSY');
      underWay.add(part);
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        const here = await state(requester, digest);
        if (here.whole) return here;
        if (offset !== here.offset) throw invalid(`${here.offset} bytes of it are here`);
        await requireRoom(requester, digest, bytes);
        const file = await open(part, 'a', 0o600);
        let at = offset;
        try {
          for await (const piece of content) {
            at += (piece as Buffer).byteLength;
            if (at > bytes) throw invalid(`it is longer than its ${bytes} bytes`);
            await file.writeFile(piece as Buffer);
          }
          await file.datasync();
        } finally {
          await file.close();
        }
        if (at < bytes) return { offset: at, whole: false };
        const hash = createHash('sha256');
        for await (const piece of createReadStream(part, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer);
        const actual = hash.digest('hex');
        if (actual !== digest) {
          // Nothing can go on from bytes that are wrong somewhere.
          await rm(part, { force: true });
          throw new HearthlendError('DIGEST_MISMATCH', { what: 'upload', actual, expected: digest });
        }
        await rename(part, join(folder, digest));
        return { offset: bytes, whole: true };
      } catch (thrown) {
        throw thrown instanceof HearthlendError ? thrown : storageError(part, thrown);
      } finally {
        underWay.delete(part);
      }
    },
    async take(requester, { digest, bytes }) {
      const path = join(folderOf(requester), digest);
      if ((await sizeOf(path)) !== bytes) return null;
      const now = new Date();
      await utimes(path, now, now).catch(() => undefined);
      return path;
    },
    async tidy(now) {
      for (const folder of await readdir(dir).catch(() => [])) {
        for (const name of await readdir(join(dir, folder)).catch(() => [])) {
          const path = join(dir, folder, name);
          const file = await stat(path).catch(() => null);
          if (file !== null && now - file.mtimeMs > KEPT_MS && !underWay.has(path)) await rm(path, { force: true });
        }
      }
    },
  };
}
