import { asHearthlendError } from '../core/contract/errors.ts';
import type { LocalModel, ReferenceWorker } from '../core/contract/jobs.ts';
import { decodeSafetensors } from '../core/contract/safetensors.ts';
import type { Shard } from '../core/contract/shard.ts';
import type { Tensors } from '../core/contract/tensor.ts';
import { disagreement } from './audit.ts';
import type { Log } from './log.ts';

/** What an audit came to. `unchecked`: the reference could not say, so nobody is blamed. */
export type Verdict = { type: 'agrees' } | { type: 'unchecked' } | { type: 'refuted'; detail: string };

export interface AuditTask {
  shard: Shard;
  model: LocalModel;
  inputs: Uint8Array;
  claimed: Tensors;
  /** Whether another backend than the reference's, the CPU, computed the claim, or may have. */
  across: boolean;
  /** Called when the first computation disagrees, before the second one starts. */
  onDispute: () => Promise<void>;
  /** Aborted where nobody can wait for the audit any longer. */
  signal: AbortSignal;
}

/**
 * Computes a shard again and compares. Two that disagree are settled by a second computation with another number of threads, which orders its sums
 * differently: where it agrees with the claim, the draw was a near-tie; where both references agree with each other, the claim is wrong; where all three
 * differ, the shard itself can't be told right from wrong. Neither can a generation of another backend that drew other tokens: one draw at a near-tie
 * changes all that follow, and only a pass over the claimed tokens could tell.
 * @param limitMs how long one computation may take, so that work never waits for a reference that hangs
 */
export async function auditResult(reference: ReferenceWorker, task: AuditTask, limitMs: number, log: Log): Promise<Verdict> {
  const first = await recompute(reference, task, task.shard, limitMs, log);
  if (first === undefined) return { type: 'unchecked' };
  const { claimed, across, shard } = task;
  const detail = disagreement(claimed, first, across);
  if (detail === undefined) return { type: 'agrees' };
  if (across && shard.kind === 'onnx.generate') {
    log('info', 'audit-undecided', { shard: shard.id, detail });
    return { type: 'unchecked' };
  }
  log('warn', 'audit-disputed', { shard: task.shard.id, detail });
  await task.onDispute();
  const second = await recompute(reference, task, onOtherThreads(task.shard), limitMs, log);
  if (second === undefined) return { type: 'unchecked' };
  if (disagreement(claimed, second, across) === undefined) return { type: 'agrees' };
  if (disagreement(first, second) === undefined) return { type: 'refuted', detail };
  log('warn', 'audit-undecided', { shard: task.shard.id, detail });
  return { type: 'unchecked' };
}

function onOtherThreads(shard: Shard): Shard {
  return { ...shard, session: { ...shard.session, intraOpThreads: shard.session.intraOpThreads === 1 ? 2 : 1 } };
}

/** The reference's outputs; undefined, with a note, where it failed or took too long. */
async function recompute(
  reference: ReferenceWorker,
  task: AuditTask,
  shard: Shard,
  limitMs: number,
  log: Log,
): Promise<Tensors | undefined> {
  const { model, inputs } = task;
  const late = Promise.withResolvers<undefined>();
  const giveUp = () => late.resolve(undefined);
  const timer = setTimeout(giveUp, task.signal.aborted ? 0 : limitMs);
  // It outlives every audit, and would keep all of them.
  task.signal.addEventListener('abort', giveUp);
  try {
    const outputs = await Promise.race([
      reference.compute({ model: { digest: shard.model.digest, local: model }, shard, inputs }),
      late.promise,
    ]);
    if (outputs !== undefined) return decodeSafetensors(outputs);
    log('warn', 'reference-late', { shard: shard.id, limitMs });
  } catch (thrown) {
    log('warn', 'reference-failed', { shard: shard.id, detail: asHearthlendError(thrown).message });
  } finally {
    clearTimeout(timer);
    task.signal.removeEventListener('abort', giveUp);
  }
  return undefined;
}
