import { auditResult } from '../../../coordinator/auditing.ts';
import { CALIBRATION_SESSIONS } from '../../../coordinator/trust/calibrating.ts';
import { startThresholds, type Thresholds } from '../../../coordinator/trust/thresholds.ts';
import type { BackendName } from '../../../core/contract/backends.ts';
import { decodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { SessionOptions } from '../../../core/contract/shard.ts';
import type { PracticeRuns, Task } from './practice-runs.ts';

export interface Compared {
  /** Tokens of generations, and rows of passes. */
  comparisons: number;
  shards: number;
  /** Results that the verifier refused, and those that it could not decide. */
  blamed: string[];
  undecided: number;
  /** Tokens that were another than the reference draws, and the furthest distance of a row. */
  nearTies: number;
  worst: number;
}

/**
 * Has the real verifier look at what honest workers computed in other ways than the reference: other numbers of threads, other optimisations of the graph,
 * another backend. Every result is audited, as often as it takes to compare that many tokens.
 */
export async function compareHonest(
  workers: PracticeRuns,
  runs: PracticeRuns,
  options: {
    comparisons: number;
    backend: BackendName;
    tokens: number;
    rows: number;
    thresholds?: Thresholds;
    sessions?: readonly SessionOptions[];
  },
): Promise<Compared> {
  const { backend, sessions = CALIBRATION_SESSIONS } = options;
  const thresholds = options.thresholds ?? startThresholds({ claimed: backend, reference: 'cpu' }, false);
  const own = startThresholds({ claimed: 'cpu', reference: 'cpu' }, false);
  const compared: Compared = { comparisons: 0, shards: 0, blamed: [], undecided: 0, nearTies: 0, worst: 0 };
  const { signal } = new AbortController();
  for (let number = 0; compared.comparisons < options.comparisons; number += 1) {
    const session = sessions[number % sessions.length] as SessionOptions;
    // Half of the tokens each: one generation makes as many as some passes have rows.
    const generates = number % 2 === 0;
    const task: Task = generates ? runs.generation(number, options.tokens, true) : runs.scoring(number, options.rows);
    const outputs = await workers.compute(task, 'honest', session);
    const { shard, inputs } = task;
    const reference: PracticeRuns['reference'] = {
      async compute(asked) {
        const blob = await runs.reference.compute(asked);
        if (asked.forced !== undefined) compared.nearTies += movedIn(blob);
        return blob;
      },
    };
    const audit = { shard, model: runs.practice.model, inputs, claimed: decodeSafetensors(outputs), thresholds, own, indices: [], signal };
    const verdict = await auditResult(reference, { ...audit, onDispute: async () => undefined }, 600_000, () => undefined);
    compared.shards += 1;
    compared.comparisons += [...audit.claimed.values()][0]?.shape.at(generates ? 0 : 1) ?? 0;
    if (verdict.type === 'refuted') compared.blamed.push(`${backend}, ${JSON.stringify(session)}: ${verdict.detail}`);
    else if (verdict.type === 'unchecked') compared.undecided += 1;
    else compared.worst = Math.max(compared.worst, verdict.distance ?? 0);
  }
  return compared;
}

/** Tokens that are not the one that is drawn. */
function movedIn(blob: Uint8Array): number {
  const shift = decodeSafetensors(blob).get('shift');
  return shift === undefined ? 0 : new Float64Array(Uint8Array.from(shift.data).buffer).filter((by) => by !== 0).length;
}
