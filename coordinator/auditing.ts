import { asHearthlendError } from '../core/contract/errors.ts';
import type { LocalModel, ReferenceTask, ReferenceWorker } from '../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../core/contract/safetensors.ts';
import type { Shard } from '../core/contract/shard.ts';
import type { Tensor, Tensors } from '../core/contract/tensor.ts';
import type { Log } from './log.ts';
import { compareOutputs } from './trust/comparison.ts';
import { isFloat } from './trust/elements.ts';
import { judgeForced } from './trust/generation.ts';
import { isHalf, startThresholds, type Thresholds } from './trust/thresholds.ts';

/**
 * What an audit came to. `computed`: the blobs that it was judged by. `unchecked`: the reference could not say, so nobody is blamed; `cutShort` where it was
 * not waited for.
 */
export type Verdict =
  | { type: 'agrees'; distance: number | null; computed: Uint8Array | null }
  | { type: 'unchecked'; detail: string; cutShort: boolean }
  | { type: 'refuted'; detail: string; computed: Uint8Array[] };

export interface AuditTask {
  shard: Shard;
  model: LocalModel;
  inputs: Uint8Array;
  claimed: Tensors;
  /** Up to where the claim may lie from what the reference computes, and two of the reference's computations from each other. */
  thresholds: Thresholds;
  own: Thresholds;
  /** Outputs of indices, and the output whose values each points into. */
  indices: readonly { output: string; values: string }[];
  /** The right answer where it is known: of a canary. One that lies further from it is not refuted by that alone. */
  known?: Tensors;
  /** Called when the first computation disagrees, before the second one starts. */
  onDispute: () => Promise<void>;
  /** Aborted where nobody can wait for the audit any longer. */
  signal: AbortSignal;
}

/** One computation of the reference, and how the claim stands to it. */
interface Judged {
  blob: Uint8Array;
  type: 'agrees' | 'undecided' | 'differs';
  detail: string;
  distance: number | null;
}

/**
 * Computes a shard again and compares; a generation is not made anew but checked along its own tokens. Two that disagree are settled by a second computation
 * with another number of threads, which orders its sums differently: where it agrees with the claim, the draw was a near-tie; where both references agree
 * with each other, the claim is wrong; where all three differ, the shard itself can't be told right from wrong.
 * @param limitMs how long one computation may take, so that work never waits for a reference that hangs
 */
export async function auditResult(reference: ReferenceWorker, task: AuditTask, limitMs: number, log: Log): Promise<Verdict> {
  if (task.known !== undefined) {
    const { detail, distance } = compareOutputs(task.claimed, task.known, { tolerance: toleranceOf(task.thresholds) });
    if (detail === undefined) return { type: 'agrees', distance, computed: null };
  }
  const { shard } = task;
  const unchecked = (detail: string): Verdict => ({ type: 'unchecked', detail, cutShort: task.signal.aborted });
  const first = await compute(reference, task, shard, limitMs, log);
  if (typeof first === 'string') return unchecked(first);
  if (first.type === 'agrees') return { type: 'agrees', distance: first.distance, computed: first.blob };
  log('warn', 'audit-disputed', { shard: shard.id, detail: first.detail });
  await task.onDispute();
  const second = await compute(reference, task, onOtherThreads(shard), limitMs, log);
  if (typeof second === 'string') return unchecked(second);
  if (second.type === 'agrees') return { type: 'agrees', distance: second.distance, computed: second.blob };
  if (first.type === 'differs' && second.type === 'differs' && agreeAmongThemselves(task, first, second)) {
    return { type: 'refuted', detail: first.detail, computed: [first.blob, second.blob] };
  }
  log('warn', 'audit-undecided', { shard: shard.id, detail: first.detail });
  return unchecked(first.detail);
}

function onOtherThreads(shard: Shard): Shard {
  return { ...shard, session: { ...shard.session, intraOpThreads: shard.session.intraOpThreads === 1 ? 2 : 1 } };
}

/** A float16's values are coarser than any model's sums. */
export function toleranceOf({ distance }: Thresholds): Parameters<typeof compareOutputs>[2]['tolerance'] {
  return (type) => (isHalf(type) ? Math.max(distance, startThresholds({ claimed: 'cpu', reference: 'cpu' }, true).distance) : distance);
}

function judge(task: AuditTask, blob: Uint8Array): Judged {
  const { shard, claimed, inputs, thresholds } = task;
  const computed = decodeSafetensors(blob);
  if (shard.kind === 'onnx.generate') {
    const verdict = judgeForced(shard, claimed, computed, thresholds);
    return { blob, type: verdict.type, detail: verdict.type === 'agrees' ? '' : verdict.detail, distance: null };
  }
  const { indices, wanted } = pointedInto(computed, task);
  const options = { tolerance: toleranceOf(thresholds), inputs: decodeSafetensors(inputs), indices };
  const { detail, distance } = compareOutputs(claimed, wanted, options);
  return { blob, type: detail === undefined ? 'agrees' : 'differs', detail: detail ?? '', distance };
}

/** The values that indices point into; and what the shard asks for, without those that only the reference was asked for. */
export function pointedInto(
  computed: Tensors,
  { shard, indices }: Pick<AuditTask, 'shard' | 'indices'>,
): { indices: Map<string, Tensor>; wanted: Tensors } {
  const known = new Map<string, Tensor>();
  for (const { output, values } of indices) {
    const tensor = computed.get(values);
    if (tensor !== undefined && isFloat(tensor.type)) known.set(output, tensor);
  }
  const asked = shard.kind === 'onnx.run' && shard.outputs.length > 0 ? new Set(shard.outputs) : null;
  return { indices: known, wanted: asked === null ? computed : new Map([...computed].filter(([name]) => asked.has(name))) };
}

/** Of a generation both passes went over the claimed tokens, and each found one that no near-tie explains: they can't disagree on that. */
function agreeAmongThemselves(task: AuditTask, first: Judged, second: Judged): boolean {
  const { shard, own } = task;
  if (shard.kind === 'onnx.generate') return true;
  const other = pointedInto(decodeSafetensors(second.blob), task);
  const options = { tolerance: toleranceOf(own), indices: other.indices };
  return compareOutputs(pointedInto(decodeSafetensors(first.blob), task).wanted, other.wanted, options).detail === undefined;
}

/** One computation of the reference; why there is none, with a note, where it failed or took too long. */
async function compute(reference: ReferenceWorker, task: AuditTask, shard: Shard, limitMs: number, log: Log): Promise<Judged | string> {
  const late = Promise.withResolvers<undefined>();
  const giveUp = () => late.resolve(undefined);
  const timer = setTimeout(giveUp, task.signal.aborted ? 0 : limitMs);
  // It outlives every audit, and would keep all of them.
  task.signal.addEventListener('abort', giveUp);
  try {
    const outputs = await Promise.race([reference.compute(referenceTask(task, shard)), late.promise]);
    if (outputs !== undefined) return judge(task, outputs);
    log('warn', 'reference-late', { shard: shard.id, limitMs });
    return `the reference did not answer within ${limitMs} ms`;
  } catch (thrown) {
    const detail = asHearthlendError(thrown).message;
    log('warn', 'reference-failed', { shard: shard.id, detail });
    return `the reference failed: ${detail}`;
  } finally {
    clearTimeout(timer);
    task.signal.removeEventListener('abort', giveUp);
  }
}

function referenceTask({ model, inputs, claimed, thresholds, indices }: AuditTask, shard: Shard): ReferenceTask {
  const task = { model: { digest: shard.model.digest, local: model }, shard, inputs };
  const tokens = claimed.get('tokens');
  if (shard.kind === 'onnx.run') {
    // Empty: all that it gives.
    if (shard.outputs.length === 0 || indices.length === 0) return task;
    const values = indices.filter(({ output }) => shard.outputs.includes(output)).map(({ values }) => values);
    return { ...task, shard: { ...shard, outputs: [...new Set([...shard.outputs, ...values])] } };
  }
  if (tokens === undefined) return task;
  const { draw, logit } = thresholds;
  return { ...task, inputs: encodeSafetensors(decodeSafetensors(inputs).set('tokens', tokens)), forced: { draw, logit } };
}
