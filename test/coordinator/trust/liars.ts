import { type AuditPolicy, type Claim, createAuditor } from '../../../coordinator/trust/auditor.ts';
import { CALIBRATION_SESSIONS, calibrate } from '../../../coordinator/trust/calibrating.ts';
import { CANARIES } from '../../../coordinator/trust/canaries.ts';
import type { AuditRecord, Standing } from '../../../coordinator/trust/records.ts';
import { afterAudit, auditProbability, NEWCOMER } from '../../../coordinator/trust/reputation.ts';
import type { Calibration } from '../../../coordinator/trust/thresholds.ts';
import type { Twin, TwinVerdict } from '../../../coordinator/trust/twins.ts';
import { checkResult } from '../../../coordinator/verify.ts';
import { canonicalJson } from '../../../core/contract/digest.ts';
import type { LocalModel } from '../../../core/contract/jobs.ts';
import { decodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { Submission } from '../../../core/contract/shard.ts';
import { inputReturned, type Liar, type Random, randomLike } from '../../fakes/lies.ts';
import { digestOf } from '../workbench.ts';
import type { PracticeRuns, Task, Weights } from './practice-runs.ts';

/** One answer to a task, the right one beside it. */
interface Answer {
  task: Task;
  right: Uint8Array;
  outputs: Uint8Array;
  /** What was committed to; the outputs' own digest where left out. */
  commitment?: string;
}

export interface Caught {
  liar: Liar;
  shards: number;
  caught: number;
  /** By the rule of audits and canaries; and the standard error of the count. */
  expected: number;
  standardError: number;
  /** Answers that were looked at and let pass. */
  missed: number;
}

/** Generations, passes and stages, with their right answers. */
export async function answersOf(runs: PracticeRuns, each: { generations: number; passes: number; stages: number }): Promise<Answer[]> {
  const tasks: Task[] = [];
  for (let number = 0; number < each.generations; number += 1) tasks.push(runs.generation(number, 24));
  for (let number = 0; number < each.passes; number += 1) tasks.push(runs.scoring(number, 6));
  for (let number = 0; number < each.stages; number += 1) tasks.push(await runs.stage(number, 6));
  const answers: Answer[] = [];
  for (const task of tasks) {
    const right = await runs.compute(task);
    answers.push({ task, right, outputs: right });
  }
  return answers;
}

/** What such a liar hands in for these tasks: answers of the right form, but for those that are right by chance. */
export async function liesOf(liar: Liar, runs: PracticeRuns, honest: readonly Answer[], random: Random): Promise<Answer[]> {
  const lies: Answer[] = [];
  for (const answer of honest) {
    const { task, right } = answer;
    const recomputed = async (weights: Weights) => ({ ...answer, outputs: await runs.compute(task, weights) });
    if (liar === 'random output') lies.push({ ...answer, outputs: randomLike(task.shard, right, random) });
    else if (liar === 'skipped layers') lies.push(await recomputed('skipped'));
    else if (liar === 'int8 instead of fp32') lies.push(await recomputed('int8'));
    else if (liar === 'a replayed old answer') {
      const old = honest.filter((other) => other !== answer && sameForm(other, answer));
      const chosen = old[Math.floor(random() * old.length)];
      if (chosen !== undefined) lies.push({ ...answer, outputs: chosen.right });
    } else if (liar === 'a copied commitment')
      lies.push({ ...answer, outputs: randomLike(task.shard, right, random), commitment: digestOf(right) });
    else if (liar === 'input returned unchanged') {
      const outputs = inputReturned(task.shard, task.inputs, right);
      if (outputs !== null) lies.push({ ...answer, outputs });
    } else lies.push({ ...answer, outputs: randomLike(task.shard, right, random) });
  }
  return lies.filter(({ right, outputs }) => Buffer.compare(right, outputs) !== 0);
}

/**
 * Has the real verifier look at that many answers of a liar whose trust is anything between a newcomer's and that of a thousand valid audits (of one that
 * was honest until it was trusted: the latter), and counts how many it refuses.
 */
export async function tryLiar(
  liar: Liar,
  runs: PracticeRuns,
  lies: readonly Answer[],
  calibrations: readonly Calibration[],
  shards: number,
  random: Random,
): Promise<Caught> {
  const verifier = verifierOver(runs, lies, calibrations, random);
  const result: Caught = { liar, shards, caught: 0, expected: 0, standardError: 0, missed: 0 };
  let variance = 0;
  for (let shard = 0; shard < shards; shard += 1) {
    const lie = lies[Math.floor(random() * lies.length)] as Answer;
    const validInARow = liar === 'honest until trusted' ? 500 + Math.floor(500 * random()) : Math.floor(1000 ** random());
    // Other bytes than were committed to are refused without an audit.
    const p = liar === 'a copied commitment' ? 1 : CANARIES + (1 - CANARIES) * auditProbability({ validInARow });
    result.expected += p;
    variance += p * (1 - p);
    const outcome = await verifier.examine(lie, validInARow);
    if (outcome === 'refused') result.caught += 1;
    else if (outcome === 'audited') result.missed += 1;
  }
  return { ...result, standardError: Math.sqrt(variance) };
}

/** What an operator does before the network opens: thresholds from honest runs of each model among these tasks. */
export async function calibrated(runs: PracticeRuns, tasks: readonly Task[], sessions = CALIBRATION_SESSIONS): Promise<Calibration[]> {
  const models = new Map<string, Task[]>();
  for (const task of tasks) models.set(task.shard.model.digest, [...(models.get(task.shard.model.digest) ?? []), task]);
  const claimed = { backend: 'cpu' as const, worker: runs.reference };
  const model = runs.practice.model;
  const calibrations: Calibration[] = [];
  for (const own of models.values())
    calibrations.push(await calibrate({ model, tasks: own, claimed, reference: runs.reference, sessions }, false, 0));
  return calibrations;
}

/** The coordinator's verifier with everything that it remembers in memory, and what the reference computed kept: the same task gives the same bits. */
function verifierOver(runs: PracticeRuns, answers: readonly Answer[], calibrations: readonly Calibration[], random: Random) {
  const bytes = new Map<string, Uint8Array>();
  const rightOf = new Map<string, string>();
  for (const { task, right } of answers) {
    rightOf.set(task.shard.inputs.digest, digestOf(right));
    bytes.set(task.shard.inputs.digest, task.inputs);
    bytes.set(digestOf(right), right);
    const manifest: LocalModel['manifest'] = { format: 'onnx', entry: 'm', files: [{ path: 'm', bytes: 1, digest: '0'.repeat(64) }] };
    bytes.set(task.shard.model.digest, new TextEncoder().encode(canonicalJson(manifest)));
  }
  const computed = new Map<string, Promise<Uint8Array>>();
  let standing: Standing = { ...NEWCOMER, valid: 0, bad: 0, undecided: 0, suspendedUntil: null };
  let canary: string | null = null;
  /** What is held against an honest worker's answer, and what came of that. */
  let twin: Twin | null = null;
  let verdict: TwinVerdict | null = null;
  const store = {
    twin: async (shardId: string) => (shardId === twin?.shardId ? twin : null),
    attempt: async () => null,
    shard: async () => null,
    async settleTwin(_shardId: string, found: TwinVerdict) {
      verdict = found;
    },
    standing: () => standing,
    canaryAnswer: async () => (canary === null ? null : { source: '', outputs: canary }),
    drawAudit: async (_key: unknown, drawn: boolean) => drawn,
    calibrations: async () => calibrations,
    dispute: async () => undefined,
    recordAudit: async (audit: AuditRecord) => (standing = { ...standing, ...afterAudit(standing, audit.outcome, audit.at) }),
    addAppeal: async () => [],
    keepCanary: async () => [],
  };
  const policy: AuditPolicy = {
    reference: {
      compute(task) {
        const key = `${task.shard.session.intraOpThreads} ${task.shard.inputs.digest} ${digestOf(task.inputs)}`;
        const known = computed.get(key) ?? runs.reference.compute(task);
        computed.set(key, known);
        return known;
      },
    },
    ...{ probability: 0, limitMs: 600_000, random, inspect: async () => ({ coarse: false, random: null, indices: [] }) },
  };
  const context = {
    store,
    blobs: { read: async (digest: string) => bytes.get(digest), path: async () => '', putBytes: async () => undefined },
    holding: { hold: async () => undefined, letGo: async () => undefined },
    ...{ networkId: 'studio', clock: () => 0, log: () => undefined },
  };
  /** Every other audit is done by a worker that is honest, and must not be blamed for it. */
  async function opinion({ record: { shard, promptTokens }, submission, outputs, attempt }: Claim): Promise<TwinVerdict | null> {
    if (random() < 0.5) return null;
    bytes.set(submission.commitment, outputs);
    const second = { ...attempt, shardId: 'twin', worker: `0x${'2'.repeat(40)}` };
    const source = { shardId: attempt.shardId, attempt: 1 };
    twin = {
      ...second,
      source,
      worker: attempt.worker,
      outputs: submission.commitment,
      backend: 'cpu',
      offered: second.worker,
      verdict: null,
    };
    const right = bytes.get(rightOf.get(shard.inputs.digest) as string) as Uint8Array;
    const examined = await auditor.examine({
      attempt: second,
      record: { shard: { ...shard, id: 'twin' }, promptTokens },
      submission: { commitment: digestOf(right), backend: 'cpu' },
      outputs: right,
      tensors: decodeSafetensors(right),
    });
    twin = null;
    if (!('audited' in examined && examined.audited)) throw new Error(`an honest worker was blamed: ${JSON.stringify(examined)}`);
    return verdict;
  }
  const auditor = createAuditor(context as never, policy, { opinion });
  return {
    async examine({ task, right, outputs, commitment }: Answer, validInARow: number): Promise<'refused' | 'audited' | 'passed'> {
      const { shard, promptTokens } = task;
      const digest = digestOf(outputs);
      const made = shard.kind === 'onnx.generate' ? (decodeSafetensors(outputs).get('tokens')?.shape[0] ?? 0) : 1;
      const units = shard.price.unit === 'run' ? 1 : made;
      const submission: Submission = {
        ...{ shardId: shard.id, attempt: 1, commitment: commitment ?? digest, outputBytes: outputs.byteLength, units, runMs: 1 },
        backend: 'cpu',
      };
      const checked = checkResult(shard, promptTokens, submission, outputs, digest);
      if (!checked.ok) return 'refused';
      standing = { ...standing, validInARow };
      canary = random() < CANARIES ? digestOf(right) : null;
      const attempt = { shardId: shard.id, attempt: 1, worker: `0x${'1'.repeat(40)}` };
      const record = { shard, promptTokens };
      const claim = { attempt, record, submission, outputs, tensors: checked.tensors };
      const examined = await auditor.examine(claim as never);
      if ('refuted' in examined) return 'refused';
      return 'audited' in examined && examined.audited ? 'audited' : 'passed';
    },
  };
}

function sameForm(one: Answer, other: Answer): boolean {
  if (one.task.shard.kind !== other.task.shard.kind) return false;
  // A generation of any length ends somewhere; one that was cut off at the limit has the limit's length.
  if (one.task.shard.kind === 'onnx.generate') return true;
  return one.task.shard.model.digest === other.task.shard.model.digest && one.right.byteLength === other.right.byteLength;
}
