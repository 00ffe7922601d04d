import { createHash } from 'node:crypto';
import type { ReferenceWorker } from '../../core/contract/jobs.ts';
import { decodeSafetensors } from '../../core/contract/safetensors.ts';
import { type AuditTask, auditResult, pointedInto, toleranceOf, type Verdict } from '../auditing.ts';
import type { Log } from '../log.ts';
import { compareOutputs } from './comparison.ts';
import type { Thresholds } from './thresholds.ts';

/** Two workers' claims for the same shard, and up to where those may differ. */
export interface Pair {
  first: AuditTask;
  second: AuditTask;
  between: Thresholds;
}

/**
 * Holds two workers' results for one shard against each other. Where they differ neither is blamed for it: the reference settles, for each by itself.
 * @param recheck whether it looks at them where they agree, too: accomplices agree on everything
 * @param limitMs how long one computation of the reference may take
 */
export async function judgePair(
  reference: ReferenceWorker,
  pair: Pair,
  { recheck, limitMs, log }: { recheck: boolean; limitMs: number; log: Log },
): Promise<{ first: Verdict; second: Verdict }> {
  const { first, second } = pair;
  const { detail, distance } = differ(pair);
  if (detail === undefined && !recheck) {
    const agrees: Verdict = { type: 'agrees', distance, computed: null };
    return { first: agrees, second: agrees };
  }
  if (detail !== undefined) {
    log('info', 'workers-differ', { shard: first.shard.id, detail });
    await first.onDispute();
    await second.onDispute();
  }
  const once = computingOnce(reference);
  return { first: await auditResult(once, first, limitMs, log), second: await auditResult(once, second, limitMs, log) };
}

/** How two results of one shard differ beyond tolerance; `detail` is undefined where they don't. A text that parts once parts for good: that is for the reference. Pure. */
function differ({ first, second, between }: Pair): { detail: string | undefined; distance: number | null } {
  const { shard, claimed, inputs } = first;
  const generates = shard.kind === 'onnx.generate';
  const { indices } = pointedInto(claimed, first);
  const tolerance = generates ? () => 0 : toleranceOf(between);
  const { detail, distance } = compareOutputs(second.claimed, claimed, { tolerance, inputs: decodeSafetensors(inputs), indices });
  return { detail, distance: generates ? null : distance };
}

/** Both are held against the same computation, which is made once. */
function computingOnce(reference: ReferenceWorker): ReferenceWorker {
  const made = new Map<string, Promise<Uint8Array>>();
  return {
    compute(task) {
      const { shard, inputs, forced } = task;
      const inputsDigest = createHash('sha256').update(inputs).digest('hex');
      const key = JSON.stringify([shard.session, shard.kind === 'onnx.run' ? shard.outputs : forced, inputsDigest]);
      const known = made.get(key) ?? reference.compute(task);
      made.set(key, known);
      return known;
    },
  };
}
