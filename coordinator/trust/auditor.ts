import { createHash } from 'node:crypto';
import type { BackendName } from '../../core/contract/backends.ts';
import type { InspectModel, LocalModel, ReferenceWorker } from '../../core/contract/jobs.ts';
import { ModelManifest } from '../../core/contract/model.ts';
import { decodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Shard, Submission } from '../../core/contract/shard.ts';
import type { Tensors } from '../../core/contract/tensor.ts';
import { drawsAudit, probabilityOf } from '../audit.ts';
import { type AuditTask, auditResult, type Verdict } from '../auditing.ts';
import type { Context } from '../context.ts';
import { holderOf } from '../holding.ts';
import type { AttemptKey, AttemptRecord, ShardRecord } from '../store.ts';
import type { Comparing } from './comparing.ts';
import { judgePair } from './judging.ts';
import type { AuditRecord } from './records.ts';
import { RECHECKED } from './reputation.ts';
import { type Thresholds, thresholdsFor } from './thresholds.ts';
import { MEASURED, type Twin, type TwinVerdict } from './twins.ts';

export interface AuditPolicy {
  reference: ReferenceWorker;
  /** How often work of this trust domain is audited. */
  probability: number;
  /** How long one computation of the reference may take. */
  limitMs: number;
  /** Uniform in [0, 1), and not to be guessed by who is audited. */
  random: () => number;
  inspect: InspectModel;
}

/** A result of the right form, with what it is for. */
export interface Claim {
  attempt: Pick<AttemptRecord, 'shardId' | 'attempt' | 'worker' | 'payee'>;
  record: Pick<ShardRecord, 'shard' | 'promptTokens'>;
  submission: Pick<Submission, 'commitment' | 'backend'>;
  outputs: Uint8Array;
  tensors: Tensors;
}

/** Why a result is refused; else whether it was found right. `postponed`: it has to be sent again, since nobody could wait for its audit. */
type Examined = { refuted: string } | { postponed: true } | { audited: boolean };

/** Decides which results are audited, audits them, and remembers what came of it. */
export interface Auditor {
  examine(claim: Claim): Promise<Examined>;
  /** A result that was none: other bytes than it was committed to, or not of the form that its shard asks for. */
  refuse(attempt: AttemptRecord, shard: Shard, detail: string): Promise<void>;
  /** Waits for no audit any longer. */
  finish(): void;
}

/** Appeals, and sources of canaries, that are kept at most. */
export const KEPT_APPEALS = 1000;
const KEPT_CANARIES = 256;
/** The part of the results found right that become sources of canaries, so that these stay fresh. */
const NEW_CANARIES = 0.1;
/** Of one appeal: larger ones are recorded by their digests alone. */
const APPEAL_BYTES = 64 * 2 ** 20;
const MAX_DETAIL = 1000;

export function createAuditor(context: Context, policy: AuditPolicy, comparing: Pick<Comparing, 'opinion'>): Auditor {
  const { store, blobs, holding, clock, log } = context;
  const finishing = new AbortController();

  async function record(attempt: Claim['attempt'], audit: Pick<AuditRecord, 'outcome' | 'means' | 'distance' | 'detail'>): Promise<void> {
    const { shardId, worker } = attempt;
    const detail = audit.detail.slice(0, MAX_DETAIL);
    const standing = await store.recordAudit({ ...audit, detail, shardId, attempt: attempt.attempt, worker, at: clock() });
    const { outcome, means } = audit;
    log(outcome === 'bad' ? 'warn' : 'info', 'audited', { shard: shardId, worker, outcome, means, validInARow: standing.validInARow });
  }

  /** @param other what the result is held against first, beside the reference */
  async function taskOf(
    { attempt, record: { shard }, submission, tensors }: Claim,
    known: Tensors | null,
    other: BackendName | null = 'cpu',
  ): Promise<AuditTask & { between: Thresholds }> {
    const model = await localModel(context, shard);
    const { coarse, indices } = await policy.inspect(model);
    const calibrations = await store.calibrations(shard.model.digest);
    const between = (claimed: BackendName | null, reference: BackendName | null = 'cpu'): Thresholds =>
      thresholdsFor({ model: shard.model.digest, claimed, reference }, calibrations, coarse);
    const backend = submission.backend ?? null;
    return {
      between: between(backend, other),
      ...{
        shard,
        model,
        claimed: tensors,
        indices: indices.filter(({ given }) => given),
        thresholds: between(backend),
        own: between('cpu'),
      },
      ...(known === null ? {} : { known }),
      inputs: await blobs.read(shard.inputs.digest),
      onDispute: () => store.dispute({ shardId: attempt.shardId, attempt: attempt.attempt }),
      signal: finishing.signal,
    };
  }

  /** Keeps what a refusal was judged by, for as long as there is room. */
  async function keepAppeal(claim: Claim, task: AuditTask, verdict: Extract<Verdict, { type: 'refuted' }>): Promise<void> {
    const { attempt, submission, outputs } = claim;
    const { shard, thresholds } = task;
    const key = { shardId: attempt.shardId, attempt: attempt.attempt };
    const bytesKept = task.inputs.byteLength + outputs.byteLength + sizeOf(verdict.computed) <= APPEAL_BYTES;
    const computed = verdict.computed.map((blob) => createHash('sha256').update(blob).digest('hex'));
    if (bytesKept) {
      await holding.hold(holderOf.appeal(key), [shard.inputs.digest, submission.commitment, ...computed]);
      for (const blob of [outputs, ...verdict.computed]) await blobs.putBytes(blob);
    }
    const { distance, draw, logit } = thresholds;
    const gone = await store.addAppeal(
      {
        ...{ network: context.networkId, worker: attempt.worker, jobId: shard.jobId, ...key, at: clock() },
        ...{ model: shard.model.digest, inputs: shard.inputs.digest, computed, tolerated: { distance, draw, logit }, bytesKept },
        claimed: { outputs: submission.commitment, backend: submission.backend ?? null },
        detail: verdict.detail.slice(0, MAX_DETAIL),
      },
      KEPT_APPEALS,
    );
    for (const each of gone) await holding.letGo(holderOf.appeal(each));
  }

  /** A result that was found right may be given to others as a canary later. @param given who computed it, too, as which shard */
  async function keepCanary(
    claim: Claim,
    task: AuditTask,
    computed: Uint8Array,
    given: { shardId: string; worker: string } | null = null,
  ): Promise<void> {
    const {
      attempt,
      outputs,
      record: { shard, promptTokens },
    } = claim;
    // What was computed here is the better answer; a generation's is the claimed one, since only it was looked at.
    const answer = shard.kind === 'onnx.run' ? computed : outputs;
    const digest = createHash('sha256').update(answer).digest('hex');
    const { files } = task.model.manifest;
    await holding.hold(holderOf.canary(shard.id), [shard.model.digest, shard.inputs.digest, digest, ...files.map((file) => file.digest)]);
    await blobs.putBytes(answer);
    const source = { shard, promptTokens, worker: attempt.worker, outputs: digest, addedAt: clock() };
    for (const gone of await store.keepCanary(source, KEPT_CANARIES, given)) await holding.letGo(holderOf.canary(gone));
  }

  /** What comes of an audit for its result. */
  async function conclude({ attempt }: Claim, verdict: TwinVerdict, means: AuditRecord['means']): Promise<Examined> {
    if (verdict.type === 'agrees') {
      await record(attempt, { outcome: 'valid', means, distance: verdict.distance, detail: '' });
      return { audited: true };
    }
    if (verdict.type === 'refuted') {
      await record(attempt, { outcome: 'bad', means, distance: null, detail: verdict.detail });
      return { refuted: verdict.detail };
    }
    await record(attempt, { outcome: 'undecided', means, distance: null, detail: verdict.detail });
    return { audited: false };
  }

  /** The result that a twin was made for, as it was claimed. */
  async function firstOf({ source, worker, outputs, backend }: Twin, { shard, promptTokens }: Claim['record']): Promise<Claim> {
    const bytes = await blobs.read(outputs);
    const { payee } = (await store.attempt(source)) ?? { payee: worker };
    const { jobId } = (await store.shard(source.shardId))?.shard ?? shard;
    return {
      attempt: { ...source, worker, payee },
      record: { shard: { ...shard, id: source.shardId, jobId }, promptTokens },
      submission: { commitment: outputs, ...(backend === null ? {} : { backend }) },
      outputs: bytes,
      tensors: decodeSafetensors(bytes),
    };
  }

  /** A second worker's result: it is held against the first's, and what comes of that is told to whoever waits for it. */
  async function examineTwin(claim: Claim, twin: Twin): Promise<Examined> {
    if (twin.source.attempt === MEASURED) {
      await holding.hold(holderOf.measured(twin.shardId), [claim.submission.commitment]);
      await blobs.putBytes(claim.outputs);
      await store.settleTwin(twin.shardId, { type: 'unchecked', detail: '' });
      return { audited: false };
    }
    const first = await firstOf(twin, claim.record);
    const [one, other] = [await taskOf(first, null), await taskOf(claim, null, twin.backend)];
    const pair = { first: one, second: other, between: other.between };
    const recheck = policy.random() < RECHECKED;
    const verdicts = await judgePair(policy.reference, pair, { recheck, limitMs: policy.limitMs, log });
    const both = [verdicts.first, verdicts.second];
    if (both.some((verdict) => verdict.type === 'unchecked' && verdict.cutShort)) return { postponed: true };
    if (verdicts.first.type === 'refuted') {
      await keepAppeal(first, one, verdicts.first);
      // Also where nobody waits for it any more.
      await conclude(first, verdicts.first, 'worker');
    }
    if (verdicts.second.type === 'refuted') await keepAppeal(claim, other, verdicts.second);
    await store.settleTwin(twin.shardId, told(verdicts.first));
    if (verdicts.first.type === 'agrees' && verdicts.first.computed !== null && policy.random() < NEW_CANARIES) {
      await keepCanary(first, one, verdicts.first.computed, { shardId: twin.shardId, worker: claim.attempt.worker });
    }
    return conclude(claim, verdicts.second, 'worker');
  }

  return {
    async examine(claim) {
      const {
        attempt,
        record: { shard },
      } = claim;
      const strange = shard.origin === 'network';
      const canary = strange ? await store.canaryAnswer(shard.id) : null;
      const twin = strange ? await store.twin(shard.id) : null;
      const known = canary !== null || twin !== null;
      const probability = known ? 1 : probabilityOf(shard.origin, policy.probability, store.standing(attempt.worker));
      if (probability === 0) return { audited: false };
      const key: AttemptKey = { shardId: attempt.shardId, attempt: attempt.attempt };
      if (!(await store.drawAudit(key, drawsAudit(probability, policy.random())))) return { audited: false };
      if (twin !== null) return examineTwin(claim, twin);
      if (strange && canary === null) {
        const opinion = await comparing.opinion(claim, finishing.signal);
        if (opinion === 'postponed') return { postponed: true };
        if (opinion !== null) return conclude(claim, opinion, 'worker');
      }
      const task = await taskOf(claim, canary === null ? null : decodeSafetensors(await blobs.read(canary.outputs)));
      const verdict = await auditResult(policy.reference, task, policy.limitMs, log);
      // A stranger's audit that was drawn is not let off by a coordinator that stops.
      if (strange && verdict.type === 'unchecked' && verdict.cutShort) return { postponed: true };
      if (verdict.type === 'refuted') await keepAppeal(claim, task, verdict);
      const examined = await conclude(claim, verdict, canary === null ? 'reference' : 'canary');
      if (strange && verdict.type === 'agrees' && verdict.computed !== null && policy.random() < NEW_CANARIES) {
        await keepCanary(claim, task, verdict.computed);
      }
      return examined;
    },
    async refuse(attempt, shard, detail) {
      if (shard.origin === 'network') await record(attempt, { outcome: 'bad', means: 'form', distance: null, detail });
    },
    finish: () => finishing.abort(),
  };
}

/** What of a verdict goes on record. */
function told(verdict: Verdict): TwinVerdict {
  if (verdict.type === 'agrees') return { type: 'agrees', distance: verdict.distance };
  return { type: verdict.type, detail: verdict.detail.slice(0, MAX_DETAIL) };
}

/** A shard's model as it lies here. @throws BLOB_MISSING, DIGEST_MISMATCH */
export async function localModel({ blobs }: Pick<Context, 'blobs'>, shard: Shard): Promise<LocalModel> {
  const manifest = ModelManifest.parse(JSON.parse(new TextDecoder().decode(await blobs.read(shard.model.digest))));
  const files = new Map<string, string>();
  for (const file of manifest.files) files.set(file.path, await blobs.path(file.digest));
  return { manifest, files };
}

function sizeOf(all: readonly Uint8Array[]): number {
  return all.reduce((sum, { byteLength }) => sum + byteLength, 0);
}
