import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { BlobRef } from '../../../core/contract/digest.ts';
import type { BlobSource } from '../../../core/contract/network.ts';
import { fetchBlob } from '../../../core/models/fetch.ts';

const data = randomBytes(5000);
const ref: BlobRef = { digest: createHash('sha256').update(data).digest('hex'), bytes: data.byteLength };

async function* pieces(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}
const streamOf =
  (...parts: Uint8Array[]) =>
  async (_digest: string, offset: number): Promise<BlobSource> => ({ type: 'stream', stream: offset === 0 ? pieces(...parts) : pieces() });

test('a small blob comes whole, from a stream in pieces and from a file', async () => {
  expect(await fetchBlob(ref, streamOf(data.subarray(0, 10), new Uint8Array(0), data.subarray(10)), 5000)).toEqual(Uint8Array.from(data));
  const folder = await mkdtemp(join(tmpdir(), 'hearthlend-fetch-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'blob'), data);
  expect(await fetchBlob(ref, async () => ({ type: 'file', path: join(folder, 'blob') }), 5000)).toEqual(Uint8Array.from(data));
  await expect(fetchBlob(ref, async () => ({ type: 'file', path: join(folder, 'none') }), 5000)).rejects.toMatchObject({
    code: 'BLOB_MISSING',
  });
});

test('a blob over the limit is refused unasked', async () => {
  const never = async (): Promise<BlobSource> => expect.unreachable();
  await expect(fetchBlob(ref, never, 4999)).rejects.toMatchObject({ code: 'TENSOR_TOO_LARGE', params: { bytes: 5000, limit: 4999 } });
});

test('a blob that is cut off, longer than promised, or different is told apart', async () => {
  await expect(fetchBlob(ref, streamOf(data.subarray(1)), 5000)).rejects.toMatchObject({ code: 'BLOB_TRUNCATED', params: { bytes: 4999 } });
  expect(await fetchBlob(ref, streamOf(data, data), 5000)).toEqual(Uint8Array.from(data));
  await expect(fetchBlob(ref, streamOf(randomBytes(5000)), 5000)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
});

test('what a network answers instead of bytes passes through', async () => {
  const broken = new Error('connection lost');
  async function* breaking(): AsyncGenerator<Uint8Array> {
    yield data.subarray(0, 10);
    throw broken;
  }
  await expect(fetchBlob(ref, async () => ({ type: 'stream', stream: breaking() }), 5000)).rejects.toBe(broken);
});
