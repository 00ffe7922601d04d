import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Blobs, openBlobs } from '../../coordinator/blobs.ts';
import { describeBlobs } from './blobs-contract.ts';
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

describeBlobs('blobs as files', async (folder) => openBlobs(folder));

test('a file is taken in as a link where the disk allows it', async () => {
  const path = join(root, 'model.onnx');
  writeFileSync(path, 'weights');
  const digest = digestOf(Buffer.from('weights'));
  await blobs.putFile(path, { digest, bytes: 7 });
  expect(statSync(await blobs.path(digest)).ino).toBe(statSync(path).ino);
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

test('a blob whose file was changed or cut off is found out when it is read', async () => {
  const { digest } = await blobs.putBytes(Buffer.from('weights'));
  truncateSync(join(dir, digest), 3);
  await expect(blobs.read(digest)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
});

test('a start removes what was half written', async () => {
  writeFileSync(join(dir, 'incoming-1-1'), 'half');
  openBlobs(dir);
  expect(readdirSync(dir)).toEqual([]);
});
