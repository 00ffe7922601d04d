import { createHash, randomBytes } from 'node:crypto';
import { joinBatch } from '../core/contract/batch.ts';
import { type BlobRef, canonicalJson } from '../core/contract/digest.ts';
import { asHearthlendError, ERROR_CODES, type ErrorCode, HearthlendError } from '../core/contract/errors.ts';
import type { JobIntake, JobOrder, JobRequest, LocalModel, OutputBlob } from '../core/contract/jobs.ts';
import type { NetworkTerms } from '../core/contract/joining.ts';
import { describeError } from '../core/contract/messages.ts';
import { ModelManifest } from '../core/contract/model.ts';
import type { JobStatus } from '../core/contract/network.ts';
import { decodeSafetensors, encodeSafetensors } from '../core/contract/safetensors.ts';
import type { Shard } from '../core/contract/shard.ts';
import type { Tensors } from '../core/contract/tensor.ts';
import type { Context } from './context.ts';
import { holderOf } from './holding.ts';
import { needsOf, promptLength, sameJobId, shardsOf, termsOf } from './orders.ts';
import { createPlacing } from './placing.ts';
import { MAX_OPEN_JOBS } from './requesters.ts';
import { findSameJob } from './same-job.ts';
import { stagedOrder } from './staging/orders.ts';
import type { Spread } from './staging/spreading.ts';
import type { ShardRecord } from './store.ts';

/** As many jobs as a list shows. */
const LISTED = 1000;
/** Shards that may wait at once, of all requesters and of one. */
const MAX_QUEUED = { all: 1_000_000, own: 100_000 };

export interface Intake extends Omit<JobIntake, 'onJob' | 'onMade'> {
  close(): void;
}

/** What a job was asked for with, read. */
interface AskedParts {
  manifest: ModelManifest;
  model: BlobRef;
  /** The inputs of its shards, where it goes in no stages. */
  parts: Uint8Array[];
  inputs: BlobRef[];
  promptTokens: number;
}

/** The requester's side: takes a job's model and inputs in, keeps its outputs. @param terms null where nothing is charged @param spread what goes in stages */
export function createIntake(context: Context, terms: NetworkTerms | null, spread: Spread): Intake {
  const { store, blobs, holding, clock, networkId, origin } = context;
  const placing = createPlacing({ blobs, holding });

  async function known(id: string): Promise<JobStatus> {
    const job = await store.job(id);
    if (job === null) throw new HearthlendError('JOB_UNKNOWN', { job: id });
    return job;
  }

  async function submitJob(asked: JobRequest, order: JobOrder = {}): Promise<JobStatus> {
    const parsed = ModelManifest.safeParse(asked.model.manifest);
    if (!parsed.success) throw new HearthlendError('MODEL_INVALID', { detail: parsed.error.issues[0]?.message ?? '' });
    const manifest = parsed.data;
    const model = refOf(new TextEncoder().encode(canonicalJson(manifest)));
    const parts = [asked.inputs, ...((asked.kind === 'onnx.run' ? asked.further : undefined) ?? [])];
    const inputs = parts.map(refOf);
    const promptTokens = promptLength(asked);
    const found =
      order.id === 'same'
        ? await findSameJob(
            { job: (id) => store.job(id), outputBlobs },
            blobs,
            sameJobId(
              asked,
              model.digest,
              inputs.map(({ digest }) => digest),
              order,
            ),
          )
        : (order.id ?? `job-${randomBytes(6).toString('hex')}`);
    if (typeof found !== 'string') return found;

    // What nobody would pay for is not cut.
    termsOf(asked, parts.length, promptTokens, order, { id: networkId, terms });
    const split = await spread(asked, order);
    const request: JobRequest = split === null ? asked : { ...asked, split };
    try {
      return await take(found, request, order, { manifest, model, parts, inputs, promptTokens });
    } catch (thrown) {
      const { code, params } = asHearthlendError(thrown);
      // Whoever asked reckoned with the whole model.
      if (split === null || code !== 'COST_TOO_HIGH') throw thrown;
      throw new HearthlendError('COST_IN_STAGES', { ...params, stages: split.manifest.stages.length }, { cause: thrown });
    } finally {
      await split?.release();
    }
  }

  async function take(
    found: string,
    request: JobRequest,
    order: JobOrder,
    { manifest, model, parts, inputs, promptTokens }: AskedParts,
  ): Promise<JobStatus> {
    const staged = stagedOrder(found, request, order);
    const models: LocalModel[] = staged?.models ?? [{ manifest, files: request.model.files }];
    const placed = staged === null ? parts : [...parts, staged.inputs, staged.plan];
    const given = staged === null ? inputs : staged.models.slice(0, staged.atFirst).map(() => refOf(staged.inputs));
    const charged = termsOf(request, staged?.of ?? parts.length, promptTokens, order, { id: networkId, terms });
    const { asset, unit, perUnit } = charged;
    const shards = shardsOf(request, given, { jobId: found, network: networkId, origin, model, price: { asset, unit, perUnit } }, staged);
    const queued = await store.queueLength(charged.requester ?? '');
    if (queued.own + shards.length > MAX_QUEUED.own) throw new HearthlendError('REQUESTS_TOO_MANY', { limit: queued.own });
    if (queued.all + shards.length > MAX_QUEUED.all) throw new HearthlendError('REQUESTS_TOO_MANY', { limit: queued.all });
    const createdAt = clock();
    const job: JobStatus = {
      ...{ id: found, network: networkId, kind: request.kind, state: 'queued', createdAt, finishedAt: null },
      ...{ shards: staged?.of ?? shards.length, accepted: 0, error: null },
    };
    const records = shards.map((shard, index): ShardRecord => {
      const needs = needsOf(models[staged === null ? 0 : index]?.manifest ?? manifest, order);
      return { shard, promptTokens, state: 'queued', needs, attempt: 0, createdAt };
    });
    const holder = holderOf.job(found);
    const digests = [model, ...(staged?.refs ?? []), ...placed.map(refOf), ...models.flatMap((each) => each.manifest.files)].map(
      (each) => each.digest,
    );
    await holding.hold(holder, [...new Set(digests)]);
    let added: Awaited<ReturnType<typeof store.addJob>>;
    try {
      // Who holds a key asks again and again. On a network each coordinator would keep it from the others' tidying.
      for (const each of models) await placing.put(each, origin === 'own' && order.requester !== undefined);
      for (const part of placed) await blobs.putBytes(part);
      added = await store.addJob(job, records, charged);
    } catch (thrown) {
      await holding.letGo(holder);
      throw thrown;
    }
    // Asked for twice at the same moment: it is the other one's job, with what it holds.
    if (added === 'known') return known(found);
    if (added !== 'added') {
      await holding.letGo(holder);
      if (added.refused === 'open-jobs') throw new HearthlendError('REQUESTS_TOO_MANY', { limit: MAX_OPEN_JOBS });
      throw new HearthlendError('BUDGET_EXCEEDED', { cost: (BigInt(perUnit) * BigInt(charged.maxUnits)).toString(), left: added.left });
    }
    await context.jobChanged(found);
    context.emit({ type: 'work' });
    return known(found);
  }

  async function outputBlobs(id: string): Promise<OutputBlob[]> {
    const job = await known(id);
    if (job.state === 'cancelled') throw new HearthlendError('JOB_CANCELLED', { job: id });
    if (job.state === 'failed') throw new HearthlendError('JOB_FAILED', { job: id, detail: reasonOf(job) });
    if (job.state !== 'done') throw new HearthlendError('JOB_UNFINISHED', { job: id });
    const refs: OutputBlob[] = [];
    for (const { shard } of await store.shardsOf(id)) {
      // Not always the last one: late work may have gone to a second machine.
      const submission = (await store.attemptsOf(shard.id)).find(({ state }) => state === 'accepted')?.submission;
      if (submission == null) throw new HearthlendError('BLOB_MISSING', { digest: `(${id})` });
      const given = shard.stage === undefined ? {} : { gives: givesOf(shard) };
      refs.push({ digest: submission.commitment, bytes: submission.outputBytes, ...given });
    }
    return refs;
  }

  /** What came of a job over stages: of a generation the tokens, which its last stage has; null for other jobs. */
  async function stagedOutputs(id: string, refs: readonly OutputBlob[]): Promise<Uint8Array | null> {
    if (refs[0]?.gives === undefined) return null;
    const outputs: Tensors = new Map();
    for (const { digest, gives: names = [] } of refs) {
      const tensors = names.length === 0 ? new Map() : decodeSafetensors(await blobs.read(digest));
      for (const name of names) {
        const tensor = tensors.get(name);
        if (tensor === undefined) throw new HearthlendError('BLOB_MISSING', { digest: `(${id})` });
        outputs.set(name, tensor);
      }
    }
    return encodeSafetensors(outputs);
  }

  return {
    submitJob,
    async prepare(request, order = {}) {
      await (await spread(request, order))?.release();
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
      const refs = await outputBlobs(id);
      const staged = await stagedOutputs(id, refs);
      if (staged !== null) return staged;
      const [only] = refs;
      if (only !== undefined && refs.length === 1) return blobs.read(only.digest);
      const parts = [];
      for (const { digest } of refs) parts.push(decodeSafetensors(await blobs.read(digest)));
      return encodeSafetensors(joinBatch(parts));
    },
    outputBlobs,
    close: () => placing.close(),
  };
}

/** The tensors of a stage's shard that are the job's: of a generation the tokens, which the last one has. */
function givesOf(shard: Shard): string[] {
  const { stage } = shard;
  if (stage === undefined) return [];
  if (shard.kind === 'onnx.run') return [...(shard.stage?.gives ?? [])];
  return stage.index === stage.of - 1 ? ['tokens'] : [];
}

function refOf(bytes: Uint8Array): BlobRef {
  return { digest: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.byteLength };
}

/** A failed job's reason, in the reader's words. */
function reasonOf({ error }: JobStatus): string {
  if (error === null) return '';
  const known = (ERROR_CODES as readonly string[]).includes(error.code);
  return known
    ? describeError(new HearthlendError(error.code as ErrorCode, error.params)).what
    : `${error.code} ${JSON.stringify(error.params)}`;
}
