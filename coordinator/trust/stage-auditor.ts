import { createHash } from 'node:crypto';
import { asHearthlendError } from '../../core/contract/errors.ts';
import { encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { GenerateShard } from '../../core/contract/shard.ts';
import type { Context } from '../context.ts';
import { holderOf } from '../holding.ts';
import type { GenerationPlan } from '../staging/plan.ts';
import { inputsOf } from '../staging/steps.ts';
import type { AttemptKey } from '../store.ts';
import { type AuditPolicy, KEPT_APPEALS, localModel } from './auditor.ts';
import { auditProbability } from './reputation.ts';
import { faultOfStage, type StageFault, type StageRecord } from './stage-audit.ts';
import { passesOver } from './stage-passes.ts';
import { type Thresholds, thresholdsFor } from './thresholds.ts';

/** One stage of a generation that is over, with the attempt that has it now. */
interface AuditedStage {
  shard: GenerateShard;
  attempt: number;
  record: StageRecord;
}

/** An attempt whose outputs are not what its stage's model makes of its inputs. */
interface RefutedStage extends AttemptKey {
  detail: string;
}

/** Audits the stages of generations, each by the reputation of who has it, against what it was handed: who is handed something wrong is not to blame for it. */
export interface StageAudits {
  /** Which attempts are refuted, and blamed by that. */
  examine(plan: GenerationPlan, stages: readonly AuditedStage[]): Promise<RefutedStage[]>;
}

/** Several pieces, each a computation of the reference. */
const LIMITS = 3;
/** The parts of an appeal that are kept. */
const APPEAL_BYTES = 64 * 2 ** 20;
const MAX_DETAIL = 1000;

export function createStageAudits(context: Context, policy: AuditPolicy): StageAudits {
  const { store, blobs, holding, clock, log } = context;

  async function blame(key: AttemptKey, outcome: 'valid' | 'bad' | 'undecided', detail: string): Promise<void> {
    const attempt = await store.attempt(key);
    if (attempt === null) return;
    const { worker } = attempt;
    const standing = await store.recordAudit({ ...key, worker, at: clock(), outcome, means: 'reference', distance: null, detail });
    log(outcome === 'bad' ? 'warn' : 'info', 'stage-audited', { shard: key.shardId, worker, outcome, validInARow: standing.validInARow });
  }

  /** One look at a stage; why there is none where the reference failed or took too long. */
  async function look(plan: GenerationPlan, { shard, record }: AuditedStage, thresholds: Thresholds, threads: number): Promise<StageFault> {
    const stage = plan.split.stages[shard.stage?.index ?? -1];
    const { decoder } = plan.split;
    if (stage === undefined || decoder === null) return 'undecided';
    const model = { digest: shard.model.digest, local: await localModel(context, shard) };
    const passes = passesOver(policy.reference, { shard, model, stage, decoder }, record.steps, threads);
    const late = Promise.withResolvers<'undecided'>();
    const timer = setTimeout(() => late.resolve('undecided'), LIMITS * policy.limitMs);
    try {
      return await Promise.race([faultOfStage(record, passes, thresholds), late.promise]);
    } catch (thrown) {
      log('warn', 'reference-failed', { shard: shard.id, detail: asHearthlendError(thrown).message });
      return 'undecided';
    } finally {
      clearTimeout(timer);
    }
  }

  async function thresholdsOf({ shard, attempt }: AuditedStage): Promise<Thresholds> {
    const { coarse } = await policy.inspect(await localModel(context, shard));
    const worker = (await store.attempt({ shardId: shard.id, attempt }))?.worker;
    // A stage's steps don't say what computes them; the machine does.
    const claimed = context.machines.askers().find(({ address }) => address === worker)?.request.backends?.[0]?.name ?? null;
    return thresholdsFor({ model: shard.model.digest, claimed, reference: 'cpu' }, await store.calibrations(shard.model.digest), coarse);
  }

  async function keepAppeal(
    plan: GenerationPlan,
    { shard, record }: AuditedStage,
    key: AttemptKey,
    fault: Exclude<StageFault, 'undecided' | null>,
    { distance, draw, logit }: Thresholds,
  ): Promise<void> {
    const stage = plan.split.stages[shard.stage?.index ?? -1];
    const worker = (await store.attempt(key))?.worker;
    const step = record.steps[fault.step];
    if (stage === undefined || worker === undefined || step === undefined) return;
    const bytes = [
      inputsOf(stage, [step]),
      new Map(record.handsOn.flatMap((name) => (step.values.has(name) ? [[name, step.values.get(name)] as const] : []))),
      fault.computed,
    ].map((tensors) => encodeSafetensors(tensors as Parameters<typeof encodeSafetensors>[0]));
    const [inputs = '', outputs = '', computed = ''] = bytes.map((blob) => createHash('sha256').update(blob).digest('hex'));
    const bytesKept = bytes.reduce((sum, { byteLength }) => sum + byteLength, 0) <= APPEAL_BYTES;
    if (bytesKept) {
      await holding.hold(holderOf.appeal(key), [inputs, outputs, computed]);
      for (const blob of bytes) await blobs.putBytes(blob);
    }
    const gone = await store.addAppeal(
      {
        ...{ network: context.networkId, worker, jobId: shard.jobId, ...key, at: clock(), model: shard.model.digest, inputs },
        ...{ claimed: { outputs, backend: null }, computed: [computed], tolerated: { distance, draw, logit } },
        ...{ detail: fault.detail.slice(0, MAX_DETAIL), bytesKept },
      },
      KEPT_APPEALS,
    );
    for (const each of gone) await holding.letGo(holderOf.appeal(each));
  }

  async function examineOne(plan: GenerationPlan, stage: AuditedStage): Promise<RefutedStage | null> {
    const { shard, attempt, record } = stage;
    const key = { shardId: shard.id, attempt };
    const worker = (await store.attempt(key))?.worker;
    if (worker === undefined) return null;
    const drawn = policy.random() < auditProbability(store.standing(worker));
    if (!(await store.drawAudit(key, drawn))) return null;
    const thresholds = await thresholdsOf(stage);
    const first = await look(plan, stage, thresholds, 1);
    if (first === null) {
      await blame(key, 'valid', '');
      return null;
    }
    // Two that disagree are settled by a third, which orders its sums differently.
    const second = first === 'undecided' ? first : await look(plan, stage, thresholds, 2);
    if (first === 'undecided' || second === 'undecided' || second?.step !== first.step) {
      await blame(key, second === null ? 'valid' : 'undecided', second === null ? '' : 'the reference could not say');
      return null;
    }
    // It may be that somebody made this step who lost the stage later.
    const maker = { shardId: shard.id, attempt: record.makers[first.step] ?? attempt };
    await keepAppeal(plan, stage, maker, first, thresholds);
    await blame(maker, 'bad', first.detail.slice(0, MAX_DETAIL));
    return { ...maker, detail: first.detail };
  }

  return {
    async examine(plan, stages) {
      const refuted: RefutedStage[] = [];
      for (const stage of stages) {
        const found = await examineOne(plan, stage);
        if (found !== null) refuted.push(found);
      }
      return refuted;
    },
  };
}
