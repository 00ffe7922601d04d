import { type AuditPolicy, createAuditor } from '../../../coordinator/trust/auditor.ts';
import { CALIBRATION_SESSIONS, calibrate } from '../../../coordinator/trust/calibrating.ts';
import { CANARIES } from '../../../coordinator/trust/canaries.ts';
import type { AuditRecord, Standing } from '../../../coordinator/trust/records.ts';
import { afterAudit, auditProbability, NEWCOMER } from '../../../coordinator/trust/reputation.ts';
import type { Calibration } from '../../../coordinator/trust/thresholds.ts';
import { checkResult } from '../../../coordinator/verify.ts';
import { canonicalJson } from '../../../core/contract/digest.ts';
import type { LocalModel } from '../../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { Submission } from '../../../core/contract/shard.ts';
import type { Tensor } from '../../../core/contract/tensor.ts';
import { digestOf, int64 } from '../workbench.ts';
import type { PracticeRuns, Task, Weights } from './practice-runs.ts';

/** One answer to a task, the right one beside it. */
interface Answer {
  task: Task;
  right: Uint8Array;
  outputs: Uint8Array;
  /** What was committed to; the outputs' own digest where left out. */
  commitment?: string;
}

export const LIARS = [
  'random output',
  'input returned unchanged',
  'skipped layers',
  'int8 instead of fp32',
  'a replayed old answer',
  'a copied commitment',
  'honest until trusted',
] as const;
export type Liar = (typeof LIARS)[number];

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

export type Random = () => number;

/** Numbers in [0, 1), the same each time: mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
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
    if (liar === 'random output') lies.push({ ...answer, outputs: randomLike(answer, random) });
    else if (liar === 'skipped layers') lies.push(await recomputed('skipped'));
    else if (liar === 'int8 instead of fp32') lies.push(await recomputed('int8'));
    else if (liar === 'a replayed old answer') {
      const old = honest.filter((other) => other !== answer && sameForm(other, answer));
      const chosen = old[Math.floor(random() * old.length)];
      if (chosen !== undefined) lies.push({ ...answer, outputs: chosen.right });
    } else if (liar === 'a copied commitment') lies.push({ ...answer, outputs: randomLike(answer, random), commitment: digestOf(right) });
    else if (liar === 'input returned unchanged') {
      const outputs = inputOf(answer);
      if (outputs !== null) lies.push({ ...answer, outputs });
    } else lies.push({ ...answer, outputs: randomLike(answer, random) });
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
  for (const { task, right } of answers) {
    bytes.set(task.shard.inputs.digest, task.inputs);
    bytes.set(digestOf(right), right);
    const manifest: LocalModel['manifest'] = { format: 'onnx', entry: 'm', files: [{ path: 'm', bytes: 1, digest: '0'.repeat(64) }] };
    bytes.set(task.shard.model.digest, new TextEncoder().encode(canonicalJson(manifest)));
  }
  const computed = new Map<string, Promise<Uint8Array>>();
  let standing: Standing = { ...NEWCOMER, valid: 0, bad: 0, undecided: 0, suspendedUntil: null };
  let canary: string | null = null;
  const store = {
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
  const auditor = createAuditor(context as never, policy);
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

function randomLike({ task, right }: Answer, random: Random): Uint8Array {
  if (task.shard.kind === 'onnx.generate') {
    const count = task.shard.maxNewTokens;
    return encodeSafetensors(new Map([['tokens', int64(Array.from({ length: count }, () => 1 + Math.floor(2047 * random())))]]));
  }
  return encodeSafetensors(
    new Map(
      Array.from(decodeSafetensors(right), ([name, { type, shape, data }]): [string, Tensor] => {
        const honest = new Float32Array(Uint8Array.from(data).buffer);
        const size = Math.sqrt(honest.reduce((sum, value) => sum + value * value, 0) / honest.length);
        const values = honest.map(() => size * Math.sqrt(12) * (random() - 0.5));
        return [name, { type, shape, data: new Uint8Array(values.buffer) }];
      }),
    ),
  );
}

/** The stage's input as its output, or the prompt as what follows it; null where nothing of the input has the output's form. */
function inputOf({ task, right }: Answer): Uint8Array | null {
  const inputs = decodeSafetensors(task.inputs);
  if (task.shard.kind === 'onnx.generate') {
    const { data } = inputs.get('input_ids') as Tensor;
    const prompt = Array.from(new BigInt64Array(new Uint8Array(data).buffer), Number).filter((id) => id !== 0);
    const { maxNewTokens } = task.shard;
    return encodeSafetensors(
      new Map([['tokens', int64(Array.from({ length: maxNewTokens }, (_, at) => prompt[at % prompt.length] as number))]]),
    );
  }
  const [output] = decodeSafetensors(right);
  if (output === undefined) return null;
  const [name, { type, shape }] = output;
  const same = [...inputs.values()].find((input) => input.type === type && input.shape.join() === shape.join());
  return same === undefined ? null : encodeSafetensors(new Map([[name, same]]));
}
