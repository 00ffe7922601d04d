import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Blobs, openBlobs } from '../../coordinator/blobs.ts';
import { digestOf } from './workbench.ts';

let root: string;
let dir: string;
let blobs: Blobs;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hearthlend-blobs-'));
  dir = join(root, 'blobs');
  blobs = openBlobs(dir);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function source(name: string, text: string) {
  const path = join(root, name);
  writeFileSync(path, text);
  const bytes = Buffer.from(text);
  return { path, ref: { digest: digestOf(bytes), bytes: bytes.byteLength } };
}

test('bytes come back as they were put, and putting them twice is the same as once', async () => {
  const bytes = Buffer.from('weights');
  const put = await blobs.putBytes(bytes);
  expect(await blobs.putBytes(bytes)).toEqual(put);
  expect(put).toEqual({ digest: digestOf(bytes), bytes: 7 });
  expect(Buffer.from(await blobs.read(put.digest))).toEqual(bytes);
  await blobs.remove(put.digest);
  await blobs.remove(put.digest);
  await expect(blobs.read(put.digest)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
});

test('a file is taken in as a link where the disk allows it', async () => {
  const { path, ref } = source('model.onnx', 'weights');
  await blobs.putFile(path, ref);
  expect(statSync(await blobs.path(ref.digest)).ino).toBe(statSync(path).ino);
});

// Another file system than the temporary folder's, on which no hard link to it can be made.
test.skipIf(!existsSync('/dev/shm') || statSync('/dev/shm').dev === statSync(tmpdir()).dev)(
  'a file on another disk is copied',
  async () => {
    const elsewhere = mkdtempSync('/dev/shm/hearthlend-');
    try {
      const path = join(elsewhere, 'model.onnx');
      const bytes = Buffer.alloc(3 << 20, 7);
      writeFileSync(path, bytes);
      await blobs.putFile(path, { digest: digestOf(bytes), bytes: bytes.byteLength });
      expect(readFileSync(await blobs.path(digestOf(bytes))).equals(bytes)).toBe(true);
      await expect(blobs.putFile(path, { digest: '0'.repeat(64), bytes: 1 })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  },
);

test('a file that is not what it should be is refused and leaves nothing behind', async () => {
  const { path, ref } = source('model.onnx', 'weights');
  writeFileSync(path, 'wrights');
  await expect(blobs.putFile(path, ref)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', params: { what: path, expected: ref.digest } });
  await expect(blobs.putFile(join(root, 'nowhere'), ref)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  await expect(blobs.putFile(root, ref)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  expect(readdirSync(dir)).toEqual([]);
});

test('a blob whose file was changed or cut off is found out when it is read, and put right when it is put again', async () => {
  const { ref } = source('model.onnx', 'weights');
  await blobs.putBytes(Buffer.from('weights'));
  truncateSync(join(dir, ref.digest), 3);
  await expect(blobs.read(ref.digest)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
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

test('a start removes what nobody holds and what was half written', async () => {
  const kept = await blobs.putBytes(Buffer.from('kept'));
  await blobs.putBytes(Buffer.from('left'));
  writeFileSync(join(dir, 'incoming-1-1'), 'half');
  await blobs.keepOnly(async () => new Set([kept.digest]));
  expect(readdirSync(dir)).toEqual([kept.digest]);
});
