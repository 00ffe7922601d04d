import { createHash } from 'node:crypto';
import { z } from 'zod';
import { joinBatch } from '../contract/batch.ts';
import { type BlobRef, canonicalJson } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { JobRequest, ModelValue } from '../contract/jobs.ts';
import { priceOf } from '../contract/money.ts';
import { JobStatus } from '../contract/network.ts';
import { JobOutputs, MAX_WAIT_MS, MissingBlobs, REQUESTER_PATHS, RequesterView, type RunOrder } from '../contract/requesting.ts';
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
    request: RunRequest,
    terms: Pick<RunOrder, 'perUnit' | 'maxCost'>,
    onUpload: (sent: number, total: number) => void,
  ): Promise<JobStatus>;
  /** Follows a job to its end. */
  follow(job: JobStatus, onChange: (job: JobStatus) => void, signal: AbortSignal): Promise<JobStatus>;
  /** The outputs of a job that is done, each byte of them verified. @param declared what the model gives; null where that is not known here */
  outputs(job: JobStatus, declared: readonly ModelValue[] | null): Promise<Tensors>;
}
export type RunRequest = Extract<JobRequest, { kind: 'onnx.run' }>;

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
      const parts = [request.inputs, ...(request.further ?? [])];
      const inputs = parts.map((part): BlobRef => ({ digest: createHash('sha256').update(part).digest('hex'), bytes: part.byteLength }));
      const { kind, outputs, limits, session, model } = request;
      const order: RunOrder = { kind, model: model.manifest, inputs, outputs, limits, session, ...terms };
      for (let round = 0; ; round += 1) {
        const { status, body } = await patiently(() =>
          json({ method: 'POST', path: REQUESTER_PATHS.jobs, headers: { 'content-type': 'application/json' }, body: canonicalJson(order) }),
        );
        if (status === 200 || status === 201) return checked(JobStatus, body);
        const refusal = refusalOf(status, body);
        if (refusal.code !== 'JOB_BLOBS_MISSING' || round >= MAX_ROUNDS) throw refusal;
        const { missing } = checked(MissingBlobs, body);
        const total = missing.reduce((sum, blob) => sum + blob.bytes, 0);
        let before = 0;
        for (const blob of missing) {
          const part = parts[inputs.findIndex(({ digest, bytes }) => digest === blob.digest && bytes === blob.bytes)];
          const file = model.manifest.files.find(({ digest, bytes }) => digest === blob.digest && bytes === blob.bytes);
          const path = file === undefined ? undefined : model.files.get(file.path);
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
    async outputs({ id, shards }, declared) {
      const { outputs } = await patiently(() => ask(JobOutputs, { method: 'GET', path: REQUESTER_PATHS.outputs(id) }));
      if (outputs.length !== shards) throw wrong(`${outputs.length} outputs of ${shards} shards`);
      const bytes = outputs.reduce((sum, blob) => sum + blob.bytes, 0);
      if (bytes > 0x7fff_ffff) throw new HearthlendError('TENSOR_TOO_LARGE', { bytes, limit: 0x7fff_ffff });
      const parts: Tensors[] = [];
      for (const [index, blob] of outputs.entries()) {
        const part = decodeSafetensors(await download(REQUESTER_PATHS.output(id, index), blob));
        if (declared !== null) checkOutputs(id, part, declared);
        parts.push(part);
      }
      return joinBatch(parts);
    },
  };
}

/** @throws OUTPUTS_INVALID */
function checkOutputs(job: string, tensors: Tensors, declared: readonly ModelValue[]): void {
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

/** What a job could cost at most: known before it is sent. Base units. */
export function estimateCost(
  view: Pick<RequesterView, 'prices'>,
  shards: number,
  perUnit: string | undefined,
): { perUnit: string; cost: bigint } {
  const offered = perUnit ?? view.prices.find(({ unit }) => unit === 'run')?.perUnit;
  if (offered === undefined) throw new HearthlendError('PRICE_UNKNOWN', { unit: 'run' });
  return { perUnit: offered, cost: priceOf(shards, offered) };
}
