import { createHash } from 'node:crypto';
import { z } from 'zod';
import { joinBatch } from '../contract/batch.ts';
import { type BlobRef, canonicalJson } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import { mostTokens } from '../contract/generation.ts';
import type { JobRequest, ModelValue } from '../contract/jobs.ts';
import { priceOf } from '../contract/money.ts';
import { JobStatus } from '../contract/network.ts';
import { JobOutputs, MAX_WAIT_MS, MissingBlobs, REQUESTER_PATHS, type RequestedJob, RequesterView } from '../contract/requesting.ts';
import { decodeSafetensors } from '../contract/safetensors.ts';
import type { Tensors } from '../contract/tensor.ts';
import { openChannel, type RequesterPorts, readPiece } from './channel.ts';

/** Uploads that are asked for again after they were sent are not sent for ever. */
const MAX_ROUNDS = 3;

/** A requester's channel to one coordinator. Everything that it says is checked, and whatever is wrong with it has a code. */
export interface Requester {
  view(): Promise<RequesterView>;
  jobs(): Promise<JobStatus[]>;
  job(id: string): Promise<JobStatus>;
  cancel(id: string): Promise<JobStatus>;
  /** Sends what is missing, and the job. The same job sent again is the same job. `onUpload`: bytes sent so far, of all. */
  submit(
    request: JobRequest,
    terms: Pick<RequestedJob, 'perUnit' | 'maxCost'>,
    onUpload: (sent: number, total: number) => void,
  ): Promise<JobStatus>;
  /** Follows a job to its end. */
  follow(job: JobStatus, onChange: (job: JobStatus) => void, signal: AbortSignal): Promise<JobStatus>;
  /** The outputs of a job that is done, each byte of them verified. @param declared what the model gives; null where that is not known here */
  outputs(job: JobStatus, declared: readonly ModelValue[] | null): Promise<Tensors>;
}
export type RunRequest = Extract<JobRequest, { kind: 'onnx.run' }>;
type GenerateRequest = Extract<JobRequest, { kind: 'onnx.generate' }>;

/** What a generation gives. */
const TOKENS: ModelValue[] = [{ name: 'tokens', type: 'int64', shape: ['tokens'] }];

export function createRequester(ports: RequesterPorts): Requester {
  const { wrong, patiently, json, ask, checked, refusalOf, upload, download } = openChannel(ports);
  const job = (id: string, waitMs = 0) =>
    ask(JobStatus, { method: 'GET', path: `${REQUESTER_PATHS.job(id)}${waitMs === 0 ? '' : `?waitMs=${waitMs}`}` });

  return {
    view: () => patiently(() => ask(RequesterView, { method: 'GET', path: REQUESTER_PATHS.requester })),
    jobs: async () => (await ask(z.object({ jobs: z.array(JobStatus).max(1000) }), { method: 'GET', path: REQUESTER_PATHS.jobs })).jobs,
    job: (id) => job(id),
    cancel: (id) => ask(JobStatus, { method: 'DELETE', path: REQUESTER_PATHS.job(id) }),
    async submit(request, terms, onUpload) {
      const parts = [request.inputs, ...((request.kind === 'onnx.run' ? request.further : undefined) ?? [])];
      const inputs = parts.map((part): BlobRef => ({ digest: createHash('sha256').update(part).digest('hex'), bytes: part.byteLength }));
      const order = orderOf(request, inputs, terms);
      const places = placesOf(request);
      for (let round = 0; ; round += 1) {
        const { status, body } = await patiently(async () => {
          const headers = { 'content-type': 'application/json' };
          const answer = await json({ method: 'POST', path: REQUESTER_PATHS.jobs, headers, body: canonicalJson(order) });
          const busy = answer.status === 503 || answer.status === 429;
          if (busy) throw refusalOf(answer.status, answer.body);
          return answer;
        });
        if (status === 200 || status === 201) return checked(JobStatus, body);
        const refusal = refusalOf(status, body);
        if (refusal.code !== 'JOB_BLOBS_MISSING' || round >= MAX_ROUNDS) throw refusal;
        const { missing } = checked(MissingBlobs, body);
        const total = missing.reduce((sum, blob) => sum + blob.bytes, 0);
        let before = 0;
        for (const blob of missing) {
          const part = parts[inputs.findIndex(({ digest, bytes }) => digest === blob.digest && bytes === blob.bytes)];
          const path = places.get(blob.digest);
          if (part === undefined && path === undefined) throw wrong('it asks for a blob that is no part of the job');
          const read =
            part !== undefined
              ? async (at: number, length: number) => part.subarray(at, at + length)
              : (at: number, length: number) => readPiece(path as string, at, length);
          await upload(blob, read, (sent) => onUpload(before + sent, total));
          before += blob.bytes;
        }
      }
    },
    async follow(first, onChange, signal) {
      let latest = first;
      while (latest.state === 'queued' || latest.state === 'running') {
        const next = await patiently(() => job(latest.id, MAX_WAIT_MS), signal);
        if (signal.aborted) throw new HearthlendError('CANCELLED');
        if (next.id !== latest.id) throw wrong(`it tells of ${next.id} where ${latest.id} was asked for`);
        if (next.state !== latest.state || next.accepted !== latest.accepted) onChange(next);
        latest = next;
      }
      return latest;
    },
    async outputs({ id, kind, shards }, declared) {
      const { outputs } = await patiently(() => ask(JobOutputs, { method: 'GET', path: REQUESTER_PATHS.outputs(id) }));
      if (outputs.length !== shards) throw wrong(`${outputs.length} outputs of ${shards} shards`);
      const bytes = outputs.reduce((sum, blob) => sum + blob.bytes, 0);
      if (bytes > 0x7fff_ffff) throw new HearthlendError('TENSOR_TOO_LARGE', { bytes, limit: 0x7fff_ffff });
      const staged = outputs.some(({ gives }) => gives !== undefined);
      const parts: Tensors[] = [];
      for (const [index, { gives, ...blob }] of outputs.entries()) {
        if (gives?.length === 0) continue;
        const part = decodeSafetensors(await download(REQUESTER_PATHS.output(id, index), blob));
        const given = gives === undefined ? part : new Map([...part].filter(([name]) => gives.includes(name)));
        checkOutputs(id, given, kind === 'onnx.generate' ? TOKENS : declared);
        parts.push(given);
      }
      if (staged) return new Map(parts.flatMap((part) => [...part]));
      return joinBatch(parts);
    },
  };
}

/** @throws OUTPUTS_INVALID */
function checkOutputs(job: string, tensors: Tensors, declared: readonly ModelValue[] | null): void {
  if (declared === null) return;
  const invalid = (detail: string) => new HearthlendError('OUTPUTS_INVALID', { job, detail });
  if (tensors.size === 0) throw invalid('there are none');
  for (const [name, { type, shape }] of tensors) {
    const value = declared.find((each) => each.name === name);
    if (value === undefined) throw invalid(`the model has no output ${name}`);
    const fits =
      (value.type === null || value.type === type) &&
      (value.shape === null ||
        (value.shape.length === shape.length && value.shape.every((size, axis) => typeof size !== 'number' || size === shape[axis])));
    if (!fits) throw invalid(`${name} is ${type}[${shape}]`);
  }
}

/** What a job could cost at most: known before it is sent. Amounts in base units. @throws PRICE_UNKNOWN */
export function estimateCost(
  { prices }: Pick<RequesterView, 'prices'>,
  request: JobRequest,
  offered: string | undefined,
): { unit: 'run' | 'token'; units: number; perUnit: string; cost: bigint } {
  const unit = request.kind === 'onnx.run' ? 'run' : 'token';
  const perUnit = offered ?? prices.find((price) => price.unit === unit)?.perUnit;
  if (perUnit === undefined) throw new HearthlendError('PRICE_UNKNOWN', { unit });
  const units =
    request.kind === 'onnx.run' ? (request.split?.manifest.stages.length ?? 1 + (request.further?.length ?? 0)) : tokensOf(request);
  return { unit, units, perUnit, cost: priceOf(units, perUnit) };
}

function tokensOf({ inputs, maxNewTokens, decoder, split }: GenerateRequest): number {
  const promptTokens = decodeSafetensors(inputs).get('input_ids')?.shape[1] ?? 0;
  return mostTokens({ maxNewTokens, maxPositions: decoder.maxPositions, stages: split?.manifest.stages.length ?? null }, promptTokens);
}

function orderOf(request: JobRequest, inputs: BlobRef[], terms: Pick<RequestedJob, 'perUnit' | 'maxCost'>): RequestedJob {
  const { limits, session, model, split } = request;
  const common = { model: model.manifest, inputs, limits, session, ...(split === undefined ? {} : { split: split.manifest }), ...terms };
  if (request.kind === 'onnx.run') return { ...common, kind: request.kind, outputs: request.outputs };
  const { kind, decoder, maxNewTokens, stopTokens, sampling } = request;
  return { ...common, kind, decoder, maxNewTokens, stopTokens, sampling };
}

/** Where the files of a job's model, or of its stages, lie here. */
function placesOf(request: JobRequest): Map<string, string> {
  const { split } = request;
  const files = split === undefined ? request.model.manifest.files : split.manifest.stages.flatMap(({ manifest }) => manifest.files);
  const places = (split ?? request.model).files;
  return new Map(files.flatMap(({ path, digest }) => (places.has(path) ? [[digest, places.get(path) as string]] : [])));
}
