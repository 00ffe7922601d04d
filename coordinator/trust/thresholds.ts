import { ACROSS_BACKENDS, type BackendName } from '../../core/contract/backends.ts';
import type { Sha256 } from '../../core/contract/digest.ts';
import type { DrawTolerance } from '../../core/contract/forced-draw.ts';
import type { TensorType } from '../../core/contract/tensor.ts';

/** What a threshold is for: a model, or a stage of one, which is a model with a digest of its own; and the two backends that are compared, null where unknown. */
export interface ThresholdKey {
  model: Sha256;
  claimed: BackendName | null;
  reference: BackendName | null;
}

/** Up to where two honest results may differ. */
export interface Thresholds extends DrawTolerance {
  /** Relative L2 of a row of floats. */
  distance: number;
  /** The part of a generation's tokens that may be another than the reference draws. */
  nearTies: number;
}

/** Thresholds that were measured, and from what. */
export interface Calibration extends Thresholds {
  model: Sha256;
  claimed: BackendName;
  reference: BackendName;
  /** Tokens and rows that were compared, and the furthest that two of them were apart. */
  comparisons: number;
  worst: number;
  /** ms since 1970. */
  at: number;
}

/** What is tolerated before a model was calibrated. Source: DESIGN, section 5.2. A logit's is ten times a row's, for the outliers among thousands. */
const ON_ONE_BACKEND = 1e-4;
const COARSE = 1e-2;

/** @param coarse whether the model computes in float16, or rounds what it computes with to whole numbers of few bits */
export function startThresholds({ claimed, reference }: Pick<ThresholdKey, 'claimed' | 'reference'>, coarse: boolean): Thresholds {
  // What computed it may not be known any more: after a restart.
  const single = claimed !== null && claimed === reference ? ON_ONE_BACKEND : ACROSS_BACKENDS;
  const distance = coarse ? Math.max(single, COARSE) : single;
  // Draws near an edge: measured on the practice model across threads and backends, with room.
  return { distance, draw: distance, logit: 10 * distance, nearTies: Math.min(0.5, 20 * distance) };
}

/** What holds for two results, whichever of them is held against the other: what was calibrated, else the start values. */
export function thresholdsFor(
  key: ThresholdKey,
  calibrations: readonly Pick<Calibration, 'model' | 'claimed' | 'reference' | keyof Thresholds>[],
  coarse: boolean,
): Thresholds {
  const found = calibrations.find(
    ({ model, claimed, reference }) =>
      model === key.model &&
      ((claimed === key.claimed && reference === key.reference) || (claimed === key.reference && reference === key.claimed)),
  );
  if (found === undefined) return startThresholds(key, coarse);
  const { distance, draw, logit, nearTies } = found;
  return { distance, draw, logit, nearTies };
}

/** Tensors of this type are float16's, and get its start value. */
export const isHalf = (type: TensorType): boolean => type === 'float16';

/** Whether so many tokens of a claim were another than the reference draws, each within tolerance, that chance can't have made them. Pure. */
export function tooManyNearTies(count: number, tokens: number, { nearTies }: Thresholds): boolean {
  const expected = tokens * nearTies;
  return count > expected + 4 * Math.sqrt(expected) + 2;
}
