import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Blobs } from '../../coordinator/blobs.ts';
import { digestOf } from './workbench.ts';

/** What all blobs of a coordinator hold to. `open` gives none yet, with their files in `dir`. */
export function describeBlobs(name: string, open: (dir: string) => Promise<Blobs>): void {
  describe(name, () => {
    let root: string;
    let dir: string;
    let blobs: Blobs;
    beforeEach(async () => {
      root = mkdtempSync(join(tmpdir(), 'hearthlend-blobs-'));
      dir = join(root, 'blobs');
      blobs = await open(dir);
    });
    afterEach(() => rmSync(root, { recursive: true, force: true }));
    const source = (file: string, text: string) => {
      const path = join(root, file);
      writeFileSync(path, text);
      const bytes = Buffer.from(text);
      return { path, ref: { digest: digestOf(bytes), bytes: bytes.byteLength } };
    };

    test('bytes come back as they were put, and putting them twice is the same as once', async () => {
      const bytes = Buffer.from('weights');
      const put = await blobs.putBytes(bytes);
      expect(await blobs.putBytes(bytes)).toEqual(put);
      expect(put).toEqual({ digest: digestOf(bytes), bytes: 7 });
      expect(Buffer.from(await blobs.read(put.digest))).toEqual(bytes);
      await blobs.remove(put.digest);
      await blobs.remove(put.digest);
      await expect(blobs.read(put.digest)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
      await expect(blobs.path('../coordinator.db')).rejects.toMatchObject({ code: 'BLOB_MISSING' });
      await blobs.putBytes(bytes);
      expect(readFileSync(await blobs.path(put.digest), 'utf8')).toBe('weights');
    });

    test('a file that is not what it should be is refused and leaves nothing behind', async () => {
      const { path, ref } = source('model.onnx', 'weights');
      writeFileSync(path, 'wrights');
      await expect(blobs.putFile(path, ref)).rejects.toMatchObject({
        code: 'DIGEST_MISMATCH',
        params: { what: path, expected: ref.digest },
      });
      await expect(blobs.putFile(join(root, 'nowhere'), ref)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
      await expect(blobs.putFile(root, ref)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
      expect(readdirSync(dir)).toEqual([]);
    });

    test('a blob whose file was cut off is put right when it is put again', async () => {
      const { ref } = source('model.onnx', 'weights');
      await blobs.putBytes(Buffer.from('weights'));
      truncateSync(join(dir, ref.digest), 3);
      await blobs.putBytes(Buffer.from('weights'));
      expect(Buffer.from(await blobs.read(ref.digest)).toString()).toBe('weights');
    });

    test('a symbolic link is followed once, not kept', async () => {
      const { path, ref } = source('model.onnx', 'weights');
      const link = join(root, 'link.onnx');
      symlinkSync(path, link);
      await blobs.putFile(link, ref);
      rmSync(path);
      expect(readFileSync(await blobs.path(ref.digest), 'utf8')).toBe('weights');
    });

    test('what nobody holds is removed', async () => {
      const kept = await blobs.putBytes(Buffer.from('kept'));
      const left = await blobs.putBytes(Buffer.from('left'));
      await blobs.keepOnly(async () => new Set([kept.digest]));
      expect(existsSync(join(dir, left.digest))).toBe(false);
      expect(Buffer.from(await blobs.read(kept.digest)).toString()).toBe('kept');
      await expect(blobs.path(left.digest)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
    });
  });
}
