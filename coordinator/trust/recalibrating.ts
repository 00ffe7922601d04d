import type { Sha256 } from '../../core/contract/digest.ts';
import type { InspectModel, ReferenceWorker } from '../../core/contract/jobs.ts';
import type { Context } from '../context.ts';
import { localModel } from './auditor.ts';
import { type CalibrationTask, calibrate } from './calibrating.ts';
import type { CanarySource } from './records.ts';
import type { Calibration } from './thresholds.ts';

/** Real shards that are looked for, of all models. */
const LOOK_AT = 256;
/** Nobody's address: everything was computed by somebody else. */
export const NOBODY = `0x${'0'.repeat(40)}`;

/**
 * Sets the thresholds of models whose results were found right before, by running what they were given again here: on the reference, under every number of
 * threads and optimisation. Models without such inputs keep what they have.
 * @param model one of them; null for all @param samples shards of each model that are run
 */
export async function recalibrate(
  { store, blobs, clock }: Pick<Context, 'store' | 'blobs' | 'clock'>,
  { reference, inspect }: { reference: ReferenceWorker; inspect: InspectModel },
  { model, samples }: { model: Sha256 | null; samples: number },
): Promise<Calibration[]> {
  const byModel = new Map<Sha256, CanarySource[]>();
  for (const source of await store.canariesFor(NOBODY, LOOK_AT)) {
    const { digest } = source.shard.model;
    const known = byModel.get(digest) ?? [];
    if ((model === null || model === digest) && known.length < samples) byModel.set(digest, [...known, source]);
  }
  const calibrations: Calibration[] = [];
  for (const sources of byModel.values()) {
    const [first] = sources;
    if (first === undefined) continue;
    const local = await localModel({ blobs }, first.shard);
    const { coarse } = await inspect(local);
    const tasks: CalibrationTask[] = [];
    for (const { shard } of sources) tasks.push({ shard, inputs: await blobs.read(shard.inputs.digest) });
    const claimed = { backend: 'cpu' as const, worker: reference };
    const calibration = await calibrate({ model: local, tasks, claimed, reference }, coarse, clock());
    await store.setCalibration(calibration);
    calibrations.push(calibration);
  }
  return calibrations;
}
