import { ACROSS_BACKENDS, type Backend, CPU, type Provider } from '../contract/backends.ts';
import type { HearthlendError } from '../contract/errors.ts';
import { decodeSafetensors, encodeSafetensors } from '../contract/safetensors.ts';
import { type Explanation, explainFailure, explainWrong } from './explain.ts';
import { distanceOf, kernelInput, kernelModel } from './kernel.ts';

/** How long one backend may take, from the start of its process on: drivers load and compile, on a busy machine for seconds. */
const PROVE_MS = 10_000;

/** A try of a model in a process of its own, in the sandbox of a worker: two passes on the provider, one on the CPU. */
type Try = (request: {
  provider: Provider;
  model: Uint8Array;
  inputs: Uint8Array;
  limitMs: number;
}) => Promise<
  | { ok: true; answer: Uint8Array; cpuAnswer: Uint8Array; firstMs: number; runMs: number }
  | { ok: false; error: HearthlendError; said: string }
>;

export interface ProofTarget {
  provider: Provider;
  /** Whose GPU it is, for words. */
  vendor: string | null;
  platform: NodeJS.Platform;
  /** The driver computes on the CPU. */
  software: boolean;
  now: number;
}

/** Runs the kernel and says what came of it. */
export async function proveBackend(target: ProofTarget, attempt: Try): Promise<Backend> {
  const { provider, software, now } = target;
  const { name, shape, values } = kernelInput();
  const inputs = encodeSafetensors(new Map([[name, { type: 'float32', shape, data: new Uint8Array(values.buffer) }]]));
  const outcome = await attempt({ provider, model: kernelModel(), inputs, limitMs: PROVE_MS });
  const about = { backend: provider.name, vendor: target.vendor, platform: target.platform };
  const base = { name: provider.name, software, testedAt: now };
  const unmeasured = { difference: null, firstMs: null, runMs: null };
  if (!outcome.ok) return { ...base, works: false, ...explainFailure({ ...about, ...outcome }), ...unmeasured };
  const difference = distanceOf(floatsOf(outcome.answer), floatsOf(outcome.cpuAnswer));
  const { firstMs, runMs } = outcome;
  if (difference <= ACROSS_BACKENDS) return { ...base, works: true, reason: null, remedy: null, difference, firstMs, runMs };
  const wrong = explainWrong(about, difference, ACROSS_BACKENDS);
  return { ...base, works: false, ...wrong, difference: Number.isFinite(difference) ? difference : null, firstMs, runMs };
}

/** A backend that it did not come to a try of. */
export function unavailable(name: Provider['name'], { reason, remedy }: Explanation, software = false): Backend {
  return { name, works: false, software, reason, remedy, difference: null, firstMs: null, runMs: null, testedAt: null };
}

/** The CPU before its kernel was run: it computed practice, or the machine has bigger troubles. */
export function untestedCpu(): Backend {
  return {
    name: CPU.name,
    works: true,
    software: false,
    reason: null,
    remedy: null,
    difference: null,
    firstMs: null,
    runMs: null,
    testedAt: null,
  };
}

function floatsOf(blob: Uint8Array): Float32Array {
  const [tensor] = decodeSafetensors(blob).values();
  return tensor === undefined ? new Float32Array(0) : new Float32Array(new Uint8Array(tensor.data).buffer);
}
