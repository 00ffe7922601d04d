import { createHash, randomBytes } from 'node:crypto';
import { type BlobRef, canonicalJson } from '../core/contract/digest.ts';
import { ERROR_CODES, type ErrorCode, HearthlendError } from '../core/contract/errors.ts';
import type { JobIntake, JobRequest } from '../core/contract/jobs.ts';
import { describeError } from '../core/contract/messages.ts';
import { ModelManifest } from '../core/contract/model.ts';
import { practiceCredit } from '../core/contract/money.ts';
import type { JobStatus } from '../core/contract/network.ts';
import { decodeSafetensors } from '../core/contract/safetensors.ts';
import { Shard } from '../core/contract/shard.ts';
import type { Tensors } from '../core/contract/tensor.ts';
import type { Context } from './context.ts';
import { holderOf } from './holding.ts';
import type { ShardRecord } from './store.ts';

/** As many jobs as a list shows. */
const LISTED = 1000;

/** The requester's side: takes a job's model and inputs in, keeps its outputs. */
export function createIntake(context: Context): Omit<JobIntake, 'onJob'> {
  const { store, blobs, holding, clock, networkId } = context;

  async function known(id: string): Promise<JobStatus> {
    const job = await store.job(id);
    if (job === null) throw new HearthlendError('JOB_UNKNOWN', { job: id });
    return job;
  }

  return {
    async submitJob(request) {
      const id = `job-${randomBytes(6).toString('hex')}`;
      const parsed = ModelManifest.safeParse(request.model.manifest);
      if (!parsed.success) throw new HearthlendError('MODEL_INVALID', { detail: parsed.error.issues[0]?.message ?? '' });
      const manifest = parsed.data;
      const manifestBytes = new TextEncoder().encode(canonicalJson(manifest));
      const promptTokens = promptLength(request);
      const shard = shardOf(id, context, request, { model: refOf(manifestBytes), inputs: refOf(request.inputs) });
      const createdAt = clock();
      const holder = holderOf.job(id);
      const job: JobStatus = {
        id,
        network: networkId,
        kind: request.kind,
        state: 'queued',
        createdAt,
        finishedAt: null,
        shards: 1,
        accepted: 0,
        error: null,
      };
      const record: ShardRecord = { shard, promptTokens, state: 'queued', attempt: 0, createdAt };
      await holding.hold(holder, [shard.model.digest, shard.inputs.digest, ...manifest.files.map((file) => file.digest)]);
      try {
        for (const { path, digest, bytes } of manifest.files) {
          const file = request.model.files.get(path);
          if (file === undefined) throw new HearthlendError('MODEL_NOT_FOUND', { path });
          await blobs.putFile(file, { digest, bytes });
        }
        await blobs.putBytes(manifestBytes);
        await blobs.putBytes(request.inputs);
        await store.addJob(job, [record]);
      } catch (thrown) {
        await holding.letGo(holder);
        throw thrown;
      }
      await context.jobChanged(id);
      context.emit({ type: 'work' });
      return job;
    },
    job: (id) => store.job(id),
    jobs: () => store.jobs(LISTED),
    async cancelJob(id) {
      const cancelled = await store.cancelJob(id, clock());
      // Over already: how it ended stays as it is.
      if (cancelled === null) return known(id);
      for (const { shardId, attempt, worker } of cancelled.revoked) {
        context.countdowns.stop({ shardId, attempt });
        context.emit({ type: 'revoked', shardId, attempt }, worker);
      }
      await holding.letGo(holderOf.job(id));
      await holding.letGo(holderOf.outputs(id));
      await context.jobChanged(id);
      return cancelled.job;
    },
    async outputs(id) {
      const job = await known(id);
      if (job.state === 'cancelled') throw new HearthlendError('JOB_CANCELLED', { job: id });
      if (job.state === 'failed') throw new HearthlendError('JOB_FAILED', { job: id, detail: reasonOf(job) });
      if (job.state !== 'done') throw new HearthlendError('JOB_UNFINISHED', { job: id });
      const [record] = await store.shardsOf(id);
      const attempt = record === undefined ? null : await store.attempt({ shardId: record.shard.id, attempt: record.attempt });
      if (attempt === null || attempt.submission === null) throw new HearthlendError('BLOB_MISSING', { digest: `(${id})` });
      return blobs.read(attempt.submission.commitment);
    },
  };
}

function refOf(bytes: Uint8Array): BlobRef {
  return { digest: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.byteLength };
}

/** The one shard of a job. It costs nothing, and so is priced in what is worth nothing. */
function shardOf(
  jobId: string,
  { networkId: network, origin }: Context,
  request: JobRequest,
  refs: { model: BlobRef; inputs: BlobRef },
): Shard {
  const { kind, limits, session } = request;
  const asset = practiceCredit(network);
  const base = { id: `${jobId}.1`, jobId, network, ...refs, limits, session, origin };
  const shard = Shard.safeParse(
    request.kind === 'onnx.run'
      ? { ...base, kind, outputs: request.outputs, price: { asset, unit: 'run', perUnit: '0' } }
      : {
          ...base,
          kind,
          decoder: request.decoder,
          maxNewTokens: request.maxNewTokens,
          stopTokens: request.stopTokens,
          sampling: request.sampling,
          price: { asset, unit: 'token', perUnit: '0' },
        },
  );
  if (shard.success) return shard.data;
  const issue = shard.error.issues[0];
  throw new HearthlendError('USAGE', { detail: `${issue?.path.join('.')}: ${issue?.message}` });
}

/** Ids in a generation's prompt; 0 for a run, whose inputs need only be readable. @throws TENSOR_INVALID, INPUT_MISSING, INPUT_MISMATCH */
function promptLength(request: JobRequest): number {
  const tensors: Tensors = decodeSafetensors(request.inputs);
  if (request.kind === 'onnx.run') return 0;
  const ids = tensors.get('input_ids');
  if (ids === undefined) throw new HearthlendError('INPUT_MISSING', { name: 'input_ids' });
  const [batch, length] = ids.shape;
  const room = request.decoder.maxPositions;
  if (ids.type !== 'int64' || ids.shape.length !== 2 || batch !== 1 || length === undefined || length < 1 || length >= room) {
    const detail = `it is ${ids.type}[${ids.shape}] where int64[1,n] is needed, n from 1 to ${room - 1}`;
    throw new HearthlendError('INPUT_MISMATCH', { name: 'input_ids', detail });
  }
  return length;
}

/** A failed job's reason, in the reader's words. */
function reasonOf({ error }: JobStatus): string {
  if (error === null) return '';
  const known = (ERROR_CODES as readonly string[]).includes(error.code);
  return known
    ? describeError(new HearthlendError(error.code as ErrorCode, error.params)).what
    : `${error.code} ${JSON.stringify(error.params)}`;
}
