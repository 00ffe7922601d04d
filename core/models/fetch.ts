import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import type { BlobRef, Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { BlobSource } from '../contract/network.ts';
import { sha256 } from './digest.ts';

/** Asks a network for bytes by digest, from an offset on. */
export type FetchBlob = (digest: Sha256, offset: number) => Promise<BlobSource>;

/** A source that gives no byte for this long is taken for dead. */
export const STALL_MS = 60_000;
/** Inputs up to this are read in one go. */
const AT_ONCE_BYTES = 1 << 20;

/**
 * Fetches a small blob into memory and verifies it. No more than the announced bytes are ever read.
 * @throws TENSOR_TOO_LARGE where more than `maxBytes` are announced, BLOB_TRUNCATED, BLOB_MISSING, DIGEST_MISMATCH, and what `fetch` throws
 */
export async function fetchBlob(ref: BlobRef, fetch: FetchBlob, maxBytes: number, stallMs = STALL_MS): Promise<Uint8Array> {
  if (ref.bytes > maxBytes) throw new HearthlendError('TENSOR_TOO_LARGE', { bytes: ref.bytes, limit: maxBytes });
  const bytes = new Uint8Array(ref.bytes);
  const first = await fetch(ref.digest, 0);
  let filled = first.type === 'file' && ref.bytes <= AT_ONCE_BYTES ? readAtOnce(first.path, bytes, ref.digest) : 0;
  const start = filled === 0 ? { offset: 0, stallMs, first } : { offset: filled, stallMs };
  for await (const chunk of blobChunks(ref, fetch, start)) {
    bytes.set(chunk, filled);
    filled += chunk.byteLength;
  }
  verifyDigest(ref.digest, sha256(bytes));
  return bytes;
}

/** Fills `bytes` from a small file, which takes a fraction of a stream's time. @returns how many there were */
function readAtOnce(path: string, bytes: Uint8Array, digest: Sha256): number {
  try {
    const file = openSync(path, 'r');
    try {
      return readSync(file, bytes);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw new HearthlendError('BLOB_MISSING', { digest }, { cause });
    throw cause;
  }
}

export function verifyDigest(expected: Sha256, actual: Sha256): void {
  if (actual !== expected) throw new HearthlendError('DIGEST_MISMATCH', { what: 'The data fetched', expected, actual });
}

/**
 * The bytes of a blob from `offset` to its announced end, and not one more. A source that ends early is asked again from where it ended, for
 * as long as each answer brings something.
 * @param start.first the answer to the first request, where the caller has it already
 * @throws BLOB_TRUNCATED, BLOB_MISSING, and what `fetch` throws
 */
export async function* blobChunks(
  ref: BlobRef,
  fetch: FetchBlob,
  start: { offset: number; stallMs: number; first?: BlobSource | undefined },
): AsyncGenerator<Uint8Array, void, undefined> {
  let offset = start.offset;
  let next = start.first;
  while (offset < ref.bytes) {
    const from = offset;
    const source = next ?? (await fetch(ref.digest, from));
    next = undefined;
    const stream = source.type === 'stream' ? source.stream : createReadStream(source.path, { start: from, end: ref.bytes - 1 });
    try {
      for await (const chunk of withoutStall(stream, start.stallMs)) {
        const wanted = chunk.subarray(0, ref.bytes - offset);
        offset += wanted.byteLength;
        if (wanted.byteLength > 0) yield wanted;
        if (offset === ref.bytes) break;
      }
    } catch (cause) {
      if (source.type === 'file' && (cause as NodeJS.ErrnoException).code === 'ENOENT')
        throw new HearthlendError('BLOB_MISSING', { digest: ref.digest }, { cause });
      throw cause;
    }
    if (offset === from) throw new HearthlendError('BLOB_TRUNCATED', { digest: ref.digest, bytes: offset, expected: ref.bytes });
  }
}

/** Ends a stream that gives nothing for `stallMs`, as if it had ended by itself. */
async function* withoutStall(stream: AsyncIterable<Uint8Array>, stallMs: number): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = stream[Symbol.asyncIterator]();
  let stalled = false;
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const stall = new Promise<'stalled'>((resolve) => {
        timer = setTimeout(resolve, stallMs, 'stalled');
      });
      const reading = iterator.next();
      const result = await Promise.race([reading, stall]).finally(() => clearTimeout(timer));
      if (result === 'stalled') {
        stalled = true;
        // What it may still say is of no interest any more, an error included.
        reading.catch(() => undefined);
        return;
      }
      if (result.done === true) return;
      yield result.value;
    }
  } finally {
    const closing = iterator.return?.();
    // A stalled generator would not come back from its return() either.
    if (stalled) closing?.catch(() => undefined);
    else await closing;
  }
}
