import { createHash } from 'node:crypto';
import { type BlobRef, canonicalJson, type Sha256 } from '../core/contract/digest.ts';
import { HearthlendError } from '../core/contract/errors.ts';
import { mostTokens } from '../core/contract/generation.ts';
import type { JobOrder, JobRequest } from '../core/contract/jobs.ts';
import type { NetworkTerms } from '../core/contract/joining.ts';
import type { ModelManifest } from '../core/contract/model.ts';
import { practiceCredit, priceOf } from '../core/contract/money.ts';
import { decodeSafetensors } from '../core/contract/safetensors.ts';
import { Shard } from '../core/contract/shard.ts';
import type { Needs } from './leasing/demand.ts';
import type { JobTerms } from './requesters.ts';
import type { StagedOrder } from './staging/orders.ts';

/** A request without what its digests stand for. */
type AskedOf<R> = R extends JobRequest ? Omit<R, 'model' | 'inputs' | 'further'> : never;

/** What every shard of a job has in common. */
interface ShardBase {
  jobId: string;
  network: string;
  origin: Shard['origin'];
  model: BlobRef;
  price: Shard['price'];
}

/**
 * The id that follows from what is asked for and by whom: the same for the same request, whenever and wherever it is sent from.
 * @param inputs digests of every shard's inputs, in order
 */
export function sameJobId(
  request: AskedOf<JobRequest>,
  model: Sha256,
  inputs: readonly Sha256[],
  { requester, perUnit }: JobOrder,
): string {
  const { kind, limits, session } = request;
  const asked =
    request.kind === 'onnx.run'
      ? { outputs: request.outputs }
      : {
          decoder: request.decoder,
          maxNewTokens: request.maxNewTokens,
          stopTokens: request.stopTokens,
          sampling: request.sampling,
        };
  const stages = request.split?.manifest.stages.map(({ digest }) => digest) ?? null;
  const text = canonicalJson({
    kind,
    model,
    inputs,
    limits,
    session,
    asked,
    stages,
    requester: requester ?? null,
    perUnit: perUnit ?? null,
  });
  return `job-${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
}

/** What a job's shards ask of the machines that compute them. */
export function needsOf({ files }: ModelManifest, { backends, category }: JobOrder): Needs {
  const modelBytes = files.reduce((bytes, file) => bytes + file.bytes, 0);
  return { modelBytes, ...(backends === undefined ? {} : { backends }), ...(category === undefined ? {} : { category }) };
}

/** What a job is charged. @throws PRICE_UNKNOWN, COST_TOO_HIGH */
export function termsOf(
  request: JobRequest,
  shards: number,
  promptTokens: number,
  order: JobOrder,
  network: { id: string; terms: NetworkTerms | null },
): JobTerms {
  const unit = request.kind === 'onnx.run' ? 'run' : 'token';
  const { terms } = network;
  // The owner's machine works for its owner for nothing.
  const listed = terms === null ? '0' : terms.prices.find((price) => price.unit === unit)?.perUnit;
  const perUnit = order.perUnit ?? listed;
  if (perUnit === undefined) throw new HearthlendError('PRICE_UNKNOWN', { unit });
  const maxUnits =
    request.kind === 'onnx.run'
      ? shards
      : mostTokens(
          {
            maxNewTokens: request.maxNewTokens,
            maxPositions: request.decoder.maxPositions,
            stages: request.split?.manifest.stages.length ?? null,
          },
          promptTokens,
        );
  const cost = priceOf(maxUnits, perUnit);
  if (order.maxCost !== undefined && cost > BigInt(order.maxCost)) {
    throw new HearthlendError('COST_TOO_HIGH', { cost: cost.toString(), limit: order.maxCost, symbol: terms?.symbol ?? '' });
  }
  return { requester: order.requester ?? null, asset: terms?.asset ?? practiceCredit(network.id), unit, perUnit, maxUnits };
}

/** A job's shards, in the order of its inputs. Their ids sort in that order, too. @throws USAGE */
export function shardsOf(request: JobRequest, inputs: readonly BlobRef[], base: ShardBase, staged: StagedOrder | null): Shard[] {
  const { kind, limits, session } = request;
  // A stage has room for this text alone, of which it is told nothing before its first step.
  const most = staged === null || request.kind === 'onnx.run' ? Number.POSITIVE_INFINITY : promptLength(request) + request.maxNewTokens;
  const width = String(staged?.of ?? inputs.length).length;
  return inputs.map((each, index) => {
    const common = { ...base, id: `${base.jobId}.${String(index + 1).padStart(width, '0')}`, inputs: each, limits, session };
    if (staged !== null) common.model = staged.refs[index] ?? base.model;
    const shard = Shard.safeParse(
      request.kind === 'onnx.run'
        ? {
            ...common,
            ...{ kind, outputs: staged?.gives?.all ?? request.outputs },
            ...(staged === null ? {} : { stage: { index, of: staged.of, plan: staged.planDigest, gives: staged.gives?.job ?? [] } }),
          }
        : {
            ...common,
            kind,
            decoder: { ...request.decoder, maxPositions: Math.min(request.decoder.maxPositions, most) },
            maxNewTokens: request.maxNewTokens,
            stopTokens: request.stopTokens,
            sampling: request.sampling,
            ...(request.stream === true ? { stream: true } : {}),
            ...(staged === null ? {} : { stage: { index, of: staged.of, plan: staged.planDigest } }),
          },
    );
    if (shard.success) return shard.data;
    const issue = shard.error.issues[0];
    throw new HearthlendError('USAGE', { detail: `${issue?.path.join('.')}: ${issue?.message}` });
  });
}

/** Ids in a generation's prompt; 0 for a run, whose inputs need only be readable. @throws TENSOR_INVALID, INPUT_MISSING, INPUT_MISMATCH */
export function promptLength(request: JobRequest): number {
  const tensors = decodeSafetensors(request.inputs);
  if (request.kind === 'onnx.run') {
    for (const part of request.further ?? []) decodeSafetensors(part);
    return 0;
  }
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
