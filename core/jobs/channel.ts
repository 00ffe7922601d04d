import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { BlobRef } from '../contract/digest.ts';
import { asHearthlendError, errorOf, HearthlendError } from '../contract/errors.ts';
import { REQUESTER_PATHS, UPLOAD_LENGTH, UPLOAD_OFFSET } from '../contract/requesting.ts';

/** One request to a coordinator, up to the head of its answer. @throws NETWORK_UNREACHABLE, NETWORK_CERTIFICATE_WRONG */
interface RequesterCall {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
}
export interface RequesterPorts {
  /** The network's id, or where it is; for errors. */
  network: string;
  call(call: RequesterCall): Promise<IncomingMessage>;
  /** How long a network that can't be reached is tried again. */
  patienceMs: number;
  /** ms that only grow. */
  steady(): number;
}

const MAX_JSON_BYTES = 4 << 20;
/** An upload goes on from the last of these that came through. */
const PIECE_BYTES = 8 << 20;
const RETRY_MS = 1000;
/** A download that breaks off is gone on with so often. */
const MAX_RESUMES = 5;

const Refusal = z.object({
  error: z.object({
    code: z.string().max(64),
    params: z.record(z.string().max(64), z.union([z.string().max(2000), z.number()])).default({}),
  }),
});

/** How a coordinator is spoken to. Nothing that it says is taken for granted, and whatever is wrong with it has a code. */
export interface Channel {
  wrong(detail: string): HearthlendError;
  /** Once more while the network can't be reached: what is asked may be asked twice. */
  patiently<T>(ask: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  json(request: RequesterCall): Promise<{ status: number; body: unknown }>;
  /** An answer of this form. @throws what the coordinator refuses by, NETWORK_ANSWER_INVALID */
  ask<T>(schema: z.ZodType<T>, request: RequesterCall): Promise<T>;
  checked<T>(schema: z.ZodType<T>, body: unknown): T;
  refusalOf(status: number, body: unknown): HearthlendError;
  /** Sends what the coordinator does not have of a blob yet. */
  upload(blob: BlobRef, read: ReadPiece, onSent: (bytes: number) => void): Promise<void>;
  /** One blob, gone on with where it broke off, held in memory. @throws BLOB_TRUNCATED, DIGEST_MISMATCH */
  download(path: string, blob: BlobRef): Promise<Uint8Array>;
}
type ReadPiece = (offset: number, length: number) => Promise<Uint8Array>;

export function openChannel({ network, call, patienceMs, steady }: RequesterPorts): Channel {
  const wrong = (detail: string) => new HearthlendError('NETWORK_ANSWER_INVALID', { network, detail });

  async function patiently<T>(ask: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const until = steady() + patienceMs;
    for (;;) {
      try {
        return await ask();
      } catch (thrown) {
        const { code } = asHearthlendError(thrown);
        // CANCELLED: that coordinator is just stopping.
        const passes = code === 'NETWORK_UNREACHABLE' || code === 'NETWORK_BUSY' || code === 'REQUESTS_TOO_MANY' || code === 'CANCELLED';
        if (!passes || steady() >= until || signal?.aborted === true) throw thrown;
      }
      await sleep(RETRY_MS, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    }
  }

  async function json(request: RequesterCall): Promise<{ status: number; body: unknown }> {
    const response = await call(request);
    const text = new TextDecoder().decode(await readAll(response, MAX_JSON_BYTES));
    try {
      return { status: response.statusCode ?? 0, body: JSON.parse(text) };
    } catch {
      throw wrong(`HTTP ${response.statusCode}, and no JSON`);
    }
  }

  async function ask<T>(schema: z.ZodType<T>, request: RequesterCall): Promise<T> {
    const { status, body } = await json(request);
    if (status < 200 || status > 299) throw refusalOf(status, body);
    return checked(schema, body);
  }

  function checked<T>(schema: z.ZodType<T>, body: unknown): T {
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    throw wrong(`${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`);
  }

  function refusalOf(status: number, body: unknown): HearthlendError {
    const refusal = Refusal.safeParse(body);
    return refusal.success ? errorOf(refusal.data.error.code, refusal.data.error.params) : wrong(`HTTP ${status}`);
  }

  async function readAll(response: IncomingMessage, limit: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    try {
      for await (const piece of response) {
        bytes += (piece as Uint8Array).byteLength;
        if (bytes > limit) throw wrong(`an answer of over ${limit} bytes`);
        pieces.push(piece as Uint8Array);
      }
    } catch (thrown) {
      if (thrown instanceof HearthlendError) throw thrown;
      throw new HearthlendError('NETWORK_UNREACHABLE', { network, detail: (thrown as Error).message }, { cause: thrown });
    } finally {
      response.destroy();
    }
    return Buffer.concat(pieces);
  }

  async function upload(
    { digest, bytes }: BlobRef,
    read: (offset: number, length: number) => Promise<Uint8Array>,
    onSent: (bytes: number) => void,
  ) {
    const path = REQUESTER_PATHS.upload(digest);
    const stateOf = async (request: RequesterCall) => {
      const response = await call(request);
      const body = await readAll(response, MAX_JSON_BYTES);
      if (response.statusCode !== 200) {
        let refused: unknown;
        try {
          refused = JSON.parse(new TextDecoder().decode(body));
        } catch {
          refused = null;
        }
        throw refusalOf(response.statusCode ?? 0, refused);
      }
      const offset = Number(response.headers[UPLOAD_OFFSET]);
      if (!Number.isSafeInteger(offset) || offset < 0 || offset > bytes)
        throw wrong(`${UPLOAD_OFFSET} of a blob of ${bytes} bytes is ${offset}`);
      return { offset, whole: response.headers['upload-complete'] === '?1' };
    };
    let { offset, whole } = await patiently(() => stateOf({ method: 'HEAD', path }));
    while (!whole) {
      const from = offset;
      const piece = await read(from, Math.min(PIECE_BYTES, bytes - from));
      const headers = { [UPLOAD_OFFSET]: String(from), [UPLOAD_LENGTH]: String(bytes) };
      const next = await patiently(async () => {
        try {
          return await stateOf({ method: 'PUT', path, headers, body: piece });
        } catch (thrown) {
          // It may have come through before the answer was lost.
          const here = asHearthlendError(thrown).code === 'UPLOAD_INVALID' ? await stateOf({ method: 'HEAD', path }) : null;
          if (here === null || (here.offset <= from && !here.whole)) throw thrown;
          return here;
        }
      });
      if (next.offset <= from && !next.whole) throw wrong('an upload does not grow');
      ({ offset, whole } = next);
      onSent(offset);
    }
    onSent(bytes);
  }

  async function download(path: string, { digest, bytes }: BlobRef): Promise<Uint8Array> {
    const data = new Uint8Array(bytes);
    let at = 0;
    for (let attempt = 0; at < bytes && attempt <= MAX_RESUMES; attempt += 1) {
      const response = await patiently(async () => {
        const answer = await call({ method: 'GET', path, headers: at === 0 ? {} : { range: `bytes=${at}-` } });
        if (answer.statusCode === (at === 0 ? 200 : 206)) return answer;
        const { statusCode = 0 } = answer;
        const body = await readAll(answer, MAX_JSON_BYTES).catch(() => new Uint8Array(0));
        let refused: unknown = null;
        try {
          refused = JSON.parse(new TextDecoder().decode(body));
        } catch {
          // Its status says enough.
        }
        throw refusalOf(statusCode, refused);
      });
      try {
        for await (const piece of response) {
          const chunk = piece as Uint8Array;
          if (at + chunk.byteLength > bytes)
            throw new HearthlendError('DIGEST_MISMATCH', { what: path, actual: `over ${bytes} bytes`, expected: digest });
          data.set(chunk, at);
          at += chunk.byteLength;
        }
      } catch (thrown) {
        if (thrown instanceof HearthlendError) throw thrown;
        // Broken off: it is gone on with.
      } finally {
        response.destroy();
      }
    }
    if (at < bytes) throw new HearthlendError('BLOB_TRUNCATED', { digest, bytes: at, expected: bytes });
    const actual = createHash('sha256').update(data).digest('hex');
    if (actual !== digest) throw new HearthlendError('DIGEST_MISMATCH', { what: path, actual, expected: digest });
    return data;
  }

  return { wrong, patiently, json, ask, checked, refusalOf, upload, download };
}

/** Reads a file piece by piece. @throws FILE_UNREADABLE */
export async function readPiece(path: string, at: number, length: number): Promise<Uint8Array> {
  const file = await open(path).catch((cause: Error) => {
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: cause.message }, { cause });
  });
  try {
    const { bytesRead, buffer } = await file.read(new Uint8Array(length), 0, length, at);
    if (bytesRead !== length) throw new HearthlendError('FILE_UNREADABLE', { path, detail: 'it became shorter meanwhile' });
    return buffer;
  } finally {
    await file.close();
  }
}
