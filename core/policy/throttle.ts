/** A GPU that computes less than this share of the time is not worth the power of being awake; what is still too hot then pauses. */
export const LEAST_DUTY = 0.05;

/** What a controller remembers between two readings. */
export interface Control {
  duty: number;
  /** The error that the proportional part last answered. */
  error: number;
  /** When that was, on the steady clock. */
  at: number;
}

/** How a controller answers errors, in their unit. */
export interface Gains {
  /** Duty for one unit. */
  perUnit: number;
  /** How long a lasting error takes to be answered as much again. */
  resetMs: number;
  /** What is smaller counts as none. */
  deadband: number;
  /** So far below the target nothing is braked yet. */
  near: number;
}

/**
 * For °C. A GPU's cooler answers within 10 to 200 s by 10 to 80 °C from rest to full load: with these gains it is damped for all of them, a
 * sensor that lags by seconds and counts whole degrees included (the tests simulate that).
 */
export const HEAT_GAINS: Gains = { perUnit: 0.015, resetMs: 100_000, deadband: 1, near: 8 };

/** For shares of the allowed power: what a machine draws follows its duty within a second or so, and the meter tells means. */
export const POWER_GAINS: Gains = { perUnit: 0.2, resetMs: 10_000, deadband: 0.02, near: 0.1 };

/** A reading is answered at most so often: what comes faster tells the same. */
const STEP_MS = 500;
/** A longer gap between two readings says nothing of what happened meanwhile. */
const MAX_STEP_MS = 10_000;

/**
 * The duty after one more reading: a proportional-integral controller in its incremental form, whose only memory is the duty itself. At an end
 * of its range it therefore winds nothing up, and leaves it with the first error of the other sign.
 * @param error target minus reading, in the gains' unit; null: unknown, the duty stays
 */
export function control(before: Control | null, error: number | null, at: number, gains: Gains): Control {
  if (error === null || !Number.isFinite(error)) return before ?? { duty: 1, error: 0, at };
  const counted = Math.abs(error) <= gains.deadband ? 0 : error;
  const felt = Math.min(counted, gains.near);
  if (before === null) return { duty: clamp(1 + gains.perUnit * Math.min(0, felt)), error: felt, at };
  const elapsedMs = at - before.at;
  // A clock that goes back starts a new step.
  if (elapsedMs < 0) return { ...before, at };
  if (elapsedMs < STEP_MS) return before;
  const integral = (counted * Math.min(elapsedMs, MAX_STEP_MS)) / gains.resetMs;
  return { duty: clamp(before.duty + gains.perUnit * (felt - before.error + integral)), error: felt, at };
}

function clamp(duty: number): number {
  return Math.min(1, Math.max(LEAST_DUTY, duty));
}
