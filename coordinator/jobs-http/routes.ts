import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { ApiKey, ApiKeys } from '../../core/contract/api-keys.ts';
import { type BlobRef, canonicalJson, Sha256 } from '../../core/contract/digest.ts';
import { asHearthlendError, type ErrorCode, HearthlendError } from '../../core/contract/errors.ts';
import type { JobIntake, JobRequest } from '../../core/contract/jobs.ts';
import type { NetworkTerms } from '../../core/contract/joining.ts';
import type { ModelManifest } from '../../core/contract/model.ts';
import type { JobStatus } from '../../core/contract/network.ts';
import {
  MAX_JOB_INPUT_BYTES,
  MAX_WAIT_MS,
  RequestedJob,
  type RequesterView,
  UPLOAD_LENGTH,
  UPLOAD_OFFSET,
} from '../../core/contract/requesting.ts';
import { createSerial } from '../../core/contract/serial.ts';
import { JobId } from '../../core/contract/shard.ts';
import type { Blobs } from '../blobs.ts';
import { answerJson, answerWith, readJson } from '../https/answer.ts';
import { readRange } from '../https/blobs.ts';
import type { Route } from '../https/server.ts';
import type { Log } from '../log.ts';
import { sameJobId } from '../orders.ts';
import type { RequesterReads } from '../requesters.ts';
import { findSameJob } from '../same-job.ts';
import type { RequesterUploads } from './uploads.ts';

export interface JobRouteOptions {
  intake: JobIntake;
  keys: Pick<ApiKeys, 'find'>;
  store: Pick<RequesterReads, 'requesterOf' | 'jobsOf'>;
  blobs: Pick<Blobs, 'path'>;
  uploads: RequesterUploads;
  terms: NetworkTerms;
  log: Log;
}

const LISTED = 1000;
/** A model's manifest with four thousand files, and a thousand inputs. */
const MAX_ORDER_BYTES = 2 << 20;
/** Less than a requester waits for the head of an answer. */
const PREPARE_MS = 10_000;
const OFTEN = { atOnce: 500, perSecond: 100 };

/** The requester's side over HTTPS, as core/contract/requesting.ts has it: each key sees its own jobs, and no other's. */
export function jobRoutes(options: JobRouteOptions): Route[] {
  const { intake, keys, store, blobs, uploads, terms, log } = options;
  // Inputs are read into memory to be checked: those of one job at a time.
  const serially = createSerial();

  const route = (
    path: string,
    methods: readonly string[],
    answer: (key: ApiKey, request: IncomingMessage, response: ServerResponse, rest: string) => Promise<void>,
  ): Route => ({
    methods,
    path,
    name: 'requesters',
    rate: OFTEN,
    async answer(request, response, rest) {
      try {
        const key = await keys.find(/^Bearer ([\x21-\x7e]{1,256})$/i.exec(request.headers.authorization ?? '')?.[1] ?? '');
        if (key === null) throw new HearthlendError('API_KEY_INVALID');
        await answer(key, request, response, rest);
      } catch (thrown) {
        refuse(response, thrown, log);
      }
    },
  });

  /** @throws JOB_UNKNOWN also for another's job */
  async function ownJob(key: ApiKey, id: string): Promise<JobStatus> {
    // The intake first: it looks again for what another coordinator may have taken in a moment ago.
    const job = JobId.safeParse(id).success ? await intake.job(id) : null;
    if (job === null || (await store.requesterOf(id)) !== key.id) throw new HearthlendError('JOB_UNKNOWN', { job: id.slice(0, 64) });
    return job;
  }

  async function submit(key: ApiKey, body: unknown): Promise<{ status: number; body: object }> {
    const parsed = RequestedJob.safeParse(body);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new HearthlendError('PARAMETER_INVALID', {
        param: issue?.path.join('.').slice(0, 200) || 'body',
        detail: issue?.message ?? '',
      });
    }
    const { data } = parsed;
    const { model, inputs, perUnit, maxCost } = data;
    const bytes = inputs.reduce((sum, input) => sum + input.bytes, 0);
    if (bytes > MAX_JOB_INPUT_BYTES) throw new HearthlendError('TENSOR_TOO_LARGE', { bytes, limit: MAX_JOB_INPUT_BYTES });
    const order = {
      requester: key.id,
      id: 'same',
      ...(perUnit === undefined ? {} : { perUnit }),
      ...(maxCost === undefined ? {} : { maxCost }),
    } as const;
    const digest = createHash('sha256').update(canonicalJson(model)).digest('hex');
    const digests = inputs.map((input) => input.digest);
    const same = await findSameJob(intake, blobs, sameJobId(requestOf(data, [], new Map()), digest, digests, order));
    if (typeof same !== 'string') return { status: 200, body: same };

    const places = new Map<Sha256, string>();
    const missing: BlobRef[] = [];
    for (const [each, size] of new Map([...inputs, ...filesOf(data)].map((blob) => [blob.digest, blob.bytes]))) {
      const blob = { digest: each, bytes: size };
      const path = await uploads.take(key.id, blob);
      if (path === null) missing.push(blob);
      else places.set(each, path);
    }
    if (missing.length > 0) {
      const error = { code: 'JOB_BLOBS_MISSING', params: { count: missing.length } };
      return { status: 409, body: { error, missing } };
    }
    const files = new Map(filesOf(data).map((file) => [file.path, places.get(file.digest) ?? '']));
    const reading = () => Promise.all(digests.map((each) => readFile(places.get(each) ?? '')));
    if (data.split === undefined) {
      // How long a text is counts; other inputs don't.
      const parts = data.kind === 'onnx.generate' ? await serially(reading) : digests.map(() => new Uint8Array(0));
      await prepared(intake.prepare(requestOf(data, parts, files), order));
    }
    return serially(async () => {
      const parts = await reading();
      return { status: 201, body: await intake.submitJob(requestOf(data, parts, files), order) };
    });
  }

  /** What takes longer goes on, and whoever asks again finds it done. @throws NETWORK_BUSY */
  async function prepared(preparing: Promise<void>): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new HearthlendError('NETWORK_BUSY')), PREPARE_MS);
    await Promise.race([preparing, late.promise]).finally(() => clearTimeout(timer));
  }

  /** Waits until a job is another than it was, or for as long as it was asked. */
  async function changed(key: ApiKey, before: JobStatus, waitMs: number): Promise<JobStatus> {
    if (waitMs === 0 || isOver(before)) return before;
    const { promise, resolve } = Promise.withResolvers<void>();
    const unsubscribe = intake.onJob((job) => {
      if (job.id === before.id) resolve();
    });
    const timer = setTimeout(resolve, waitMs);
    try {
      // It may have changed before anybody listened.
      const now = await ownJob(key, before.id);
      if (now.state !== before.state || now.accepted !== before.accepted) return now;
      await promise;
      return await ownJob(key, before.id);
    } finally {
      clearTimeout(timer);
      unsubscribe();
    }
  }

  async function giveOutput(key: ApiKey, id: string, index: number, request: IncomingMessage, response: ServerResponse): Promise<void> {
    await ownJob(key, id);
    const blob = (await intake.outputBlobs(id))[index];
    if (blob === undefined) throw new HearthlendError('BLOB_MISSING', { digest: `${id}/${index}` });
    const path = await blobs.path(blob.digest);
    const { size } = await stat(path);
    const range = readRange(request.headers.range, size);
    if (range === null) return answerWith(response, 416, { 'Content-Range': `bytes */${size}`, 'Content-Length': 0 });
    const { from, to } = range;
    const part = request.headers.range !== undefined;
    response.writeHead(part ? 206 : 200, {
      'Content-Type': 'application/octet-stream',
      'Content-Length': to - from,
      ETag: `"${blob.digest}"`,
      ...(part ? { 'Content-Range': `bytes ${from}-${to - 1}/${size}` } : {}),
    });
    if (from === to) return void response.end();
    await pipeline(createReadStream(path, { start: from, end: to - 1, highWaterMark: 1 << 18 }), response).catch(() => response.destroy());
  }

  return [
    route('/v1/requester', ['GET'], async ({ name, budget, spent }, _request, response) => {
      const { id: network, asset, symbol, decimals, prices } = terms;
      answerJson(response, 200, { name, network, asset, symbol, decimals, prices, budget, spent } satisfies RequesterView);
    }),
    route('/v1/jobs', ['GET', 'POST'], async (key, request, response) => {
      if (request.method === 'GET') return answerJson(response, 200, { jobs: await store.jobsOf(key.id, LISTED) });
      const { status, body } = await submit(key, await readJson(request, MAX_ORDER_BYTES));
      answerJson(response, status, body);
    }),
    route('/v1/jobs/', ['GET', 'DELETE'], async (key, request, response, rest) => {
      const [id = '', outputs, index] = rest.split('/');
      const job = await ownJob(key, id);
      if (request.method === 'DELETE') return answerJson(response, 200, await intake.cancelJob(id));
      if (outputs === undefined) {
        const asked = Number(URL.parse(`https://x${request.url ?? ''}`)?.searchParams.get('waitMs') ?? 0);
        const waitMs = Number.isFinite(asked) ? Math.min(Math.max(asked, 0), MAX_WAIT_MS) : 0;
        return answerJson(response, 200, await changed(key, job, waitMs));
      }
      if (outputs === 'outputs' && index === undefined)
        return answerJson(response, 200, { job: id, outputs: await intake.outputBlobs(id) });
      if (outputs === 'outputs' && /^\d{1,4}$/.test(index ?? '')) return giveOutput(key, id, Number(index), request, response);
      throw new HearthlendError('BLOB_MISSING', { digest: rest.slice(0, 100) });
    }),
    route('/v1/uploads/', ['HEAD', 'PUT'], async (key, request, response, rest) => {
      const digest = Sha256.safeParse(rest);
      if (!digest.success) throw new HearthlendError('UPLOAD_INVALID', { digest: rest.slice(0, 64), detail: 'it is no SHA-256' });
      const number = (name: string) => {
        const text = request.headers[name];
        if (typeof text === 'string' && /^\d{1,15}$/.test(text)) return Number(text);
        throw new HearthlendError('UPLOAD_INVALID', { digest: digest.data, detail: `it has no ${name}` });
      };
      const state =
        request.method === 'HEAD'
          ? await uploads.state(key.id, digest.data)
          : await uploads.put(key.id, { digest: digest.data, bytes: number(UPLOAD_LENGTH) }, number(UPLOAD_OFFSET), request);
      answerWith(response, 200, { [UPLOAD_OFFSET]: state.offset, 'upload-complete': state.whole ? '?1' : '?0', 'Content-Length': 0 });
    }),
  ];
}

/** The files whose bytes a job needs: its model's, or where that is in stages those of the stages. */
function filesOf(job: RequestedJob): ModelManifest['files'] {
  const { split } = job;
  return split === undefined ? job.model.files : split.stages.flatMap(({ manifest }) => manifest.files);
}

/** @param files where they lie, by their names */
function requestOf(job: RequestedJob, parts: readonly Uint8Array[], files: ReadonlyMap<string, string>): JobRequest {
  const { limits, session, split } = job;
  const inStages = split === undefined ? {} : { split: { manifest: split, files } };
  const [inputs = new Uint8Array(0), ...further] = parts;
  const common = { model: { manifest: job.model, files }, inputs, limits, session, ...inStages };
  if (job.kind === 'onnx.run') return { ...common, kind: job.kind, outputs: job.outputs, ...(further.length === 0 ? {} : { further }) };
  const { kind, decoder, maxNewTokens, stopTokens, sampling } = job;
  return { ...common, kind, decoder, maxNewTokens, stopTokens, sampling };
}

function isOver({ state }: JobStatus): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  API_KEY_INVALID: 401,
  JOB_UNKNOWN: 404,
  BLOB_MISSING: 404,
  JOB_UNFINISHED: 409,
  REQUESTS_TOO_MANY: 429,
  CANCELLED: 503,
  NETWORK_BUSY: 503,
};
/** What a requester can do something about; the rest is the operator's, and its details stay here. */
const TOLD = /^(API_KEY|JOB|BLOB|DIGEST|TENSOR|INPUT|OUTPUT|MODEL|PARAMETER|REQUESTS|PRICE|COST|BUDGET|UPLOAD|NETWORK)_/;

function refuse(response: ServerResponse, thrown: unknown, log: Log): void {
  const met = asHearthlendError(thrown);
  // It passes, and whoever asks again is answered then.
  const error = met.code === 'STORE_UNREACHABLE' ? new HearthlendError('NETWORK_BUSY', {}, { cause: met }) : met;
  if (response.headersSent) return void response.destroy();
  const told = TOLD.test(error.code) || error.code === 'DISK_FULL' || error.code === 'CANCELLED';
  if (!told) log('error', 'request-failed', { code: error.code, detail: error.message.slice(0, 500) });
  // Where files lie here is nobody's business.
  const params = 'path' in error.params ? { ...error.params, path: '?' } : error.params;
  answerJson(response, STATUS[error.code] ?? (told ? 400 : 500), {
    error: told ? { code: error.code, params } : { code: 'INTERNAL', params: { detail: error.code } },
  });
}
