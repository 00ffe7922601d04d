import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Sha256 } from '../../core/contract/digest.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { blobPath } from '../../core/contract/worker-calls.ts';
import type { Blobs } from '../blobs.ts';
import type { Worker, WorkerService } from '../service.ts';
import { answerWith } from './answer.ts';
import type { Route } from './server.ts';
import type { Tokens } from './tokens.ts';
import type { Uploads } from './uploads.ts';

export interface BlobRoutesOptions {
  blobs: Blobs;
  uploads: Uploads;
  service: Pick<WorkerService, 'mayRead'>;
  tokens: Tokens;
  /** Whether a worker was shut out since its token was made. @throws NETWORK_MEMBER_UNKNOWN, NETWORK_REVOKED */
  requireMember(worker: Worker): Promise<void>;
  clock(): number;
}

/** Bytes by digest: a worker reads what its leases name, in ranges, and puts the outputs that it is about to hand in. */
export function blobRoute(options: BlobRoutesOptions): Route {
  return {
    methods: ['GET', 'HEAD', 'PUT'],
    path: blobPath(''),
    name: 'blobs',
    rate: { atOnce: 500, perSecond: 100 },
    async answer(request, response, rest) {
      const worker = await authenticate(options, request);
      const digest = Sha256.safeParse(rest);
      if (!digest.success) throw new HearthlendError('NETWORK_REQUEST_INVALID', { detail: 'no digest' });
      if (request.method === 'PUT') await take(options, worker, digest.data, request, response);
      else await give(options, worker, digest.data, request, response);
    },
  };
}

async function authenticate({ tokens, requireMember, clock }: BlobRoutesOptions, { headers }: IncomingMessage): Promise<Worker> {
  const [, token] = /^Bearer ([A-Za-z0-9_.-]{1,512})$/.exec(headers.authorization ?? '') ?? [];
  const worker = token === undefined ? null : tokens.read(token, clock());
  if (worker === null) throw new HearthlendError('NETWORK_MEMBER_UNKNOWN');
  await requireMember(worker);
  return worker;
}

async function give(
  options: BlobRoutesOptions,
  worker: Worker,
  digest: Sha256,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { blobs, service } = options;
  if (!(await service.mayRead(worker, digest))) throw new HearthlendError('BLOB_REFUSED', { digest });
  const path = await blobs.path(digest);
  const { size } = await stat(path);
  const range = readRange(request.headers.range, size);
  if (range === null) {
    answerWith(response, 416, { 'Content-Range': `bytes */${size}`, 'Content-Length': 0 });
    return;
  }
  const { from, to } = range;
  response.writeHead(request.headers.range === undefined ? 200 : 206, {
    'Content-Type': 'application/octet-stream',
    'Content-Length': to - from,
    'Accept-Ranges': 'bytes',
    ETag: `"${digest}"`,
    ...(request.headers.range === undefined ? {} : { 'Content-Range': `bytes ${from}-${to - 1}/${size}` }),
  });
  if (request.method === 'HEAD' || from === to) {
    response.end();
    return;
  }
  // A reader that leaves, or reads nothing until its connection is closed, is no fault.
  await pipeline(createReadStream(path, { start: from, end: to - 1, highWaterMark: 1 << 18 }), response).catch(() => response.destroy());
}

async function take(
  options: BlobRoutesOptions,
  worker: Worker,
  digest: Sha256,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const length = request.headers['content-length'];
  if (length === undefined || !/^\d{1,15}$/.test(length)) throw new HearthlendError('NETWORK_REQUEST_INVALID', { detail: 'no length' });
  await options.uploads.put(worker, digest, Number(length), request);
  answerWith(response, 201, { 'Content-Length': 0 });
}

/** One range of bytes, its end not included; null for one that is none, or not of this file. Source: RFC 9110, 14.1.2. */
export function readRange(header: string | undefined, size: number): { from: number; to: number } | null {
  if (header === undefined) return { from: 0, to: size };
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header) ?? [];
  if (first === '' && last === '') return null;
  if (first === '') return Number(last) === 0 || size === 0 ? null : { from: Math.max(0, size - Number(last)), to: size };
  const from = Number(first);
  const to = last === '' ? size : Math.min(size, Number(last) + 1);
  return from < size && from < to ? { from, to } : null;
}
