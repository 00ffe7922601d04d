import type { BackendName } from '../contract/backends.ts';
import type { BackendScore, Figure, FigureName } from '../contract/benchmark.ts';
import { asHearthlendError } from '../contract/errors.ts';
import { decodeSafetensors } from '../contract/safetensors.ts';
import { downloadKernel, type Kernel, matrixKernel, memoryKernel, uploadKernel } from './kernels.ts';
import { figureOf, repeat } from './samples.ts';
import { scoreOf } from './score.ts';
import { type BenchmarkWorker, type PracticeModel, stageKernel, stagePractice } from './worker.ts';

/** How much is measured. Full sizes fit no cache that people have, and WebGPU's least bound for a buffer, 128 MiB; tests take small ones. */
export interface Effort {
  /** Each figure may take so long. */
  figureMs: number;
  /** All of a backend's; what is missing then is left out. */
  backendMs: number;
  /** Matrix sizes and the number of products, from light to heavy: the first that takes `leastRunMs` is measured, else the last. */
  matrices: readonly (readonly [number, number])[];
  leastRunMs: number;
  /** Floats of the list that goes through memory, and of that which is copied. */
  memoryFloats: number;
  copyFloats: number;
  tokens: number;
  leastSamples: number;
}

const MATRICES = [
  [256, 2],
  [512, 8],
  [1024, 8],
  [2048, 8],
  [2048, 64],
] as const;
const FULL = { matrices: MATRICES, memoryFloats: 2 ** 25, copyFloats: 2 ** 23 } as const;
export const QUICK: Effort = { ...FULL, figureMs: 2000, backendMs: 18_000, leastRunMs: 15, tokens: 48, leastSamples: 3 };
export const THOROUGH: Effort = { ...FULL, figureMs: 8000, backendMs: 90_000, leastRunMs: 40, tokens: 100, leastSamples: 7 };

const MOST_SAMPLES = 40;
const MEMORY_LINKS = 4;
const LOADS = 5;
const GIGA = 1e9;

interface Measuring {
  worker: BenchmarkWorker;
  practice: PracticeModel;
  effort: Effort;
  /** An empty folder on the disk that models lie on. */
  dir: string;
  signal: AbortSignal;
  onFigure(name: FigureName): void;
}

export type Measured = BackendScore & { wordsPerToken: number | null };

/** What is measured of a backend, in this order. */
export function figureNames(backend: BackendName): FigureName[] {
  const copies = backend === 'cpu' ? [] : (['upload', 'download'] as const);
  return ['matrixFp32', 'matrixFp16', 'memoryBandwidth', ...copies, 'tokens', 'modelLoad'];
}

/**
 * Measures one backend through its worker. A figure that fails is left out and its error kept; the others are still measured.
 * @throws CANCELLED, and whatever else `signal` was aborted for
 */
export async function measureBackend(measuring: Measuring): Promise<Measured> {
  const { worker, effort, signal: cancelled, onFigure } = measuring;
  const late = AbortSignal.timeout(effort.backendMs);
  const signal = AbortSignal.any([cancelled, late]);
  const figures: Figure[] = [];
  let wordsPerToken: number | null = null;
  let error: BackendScore['error'] = null;
  for (const name of figureNames(worker.backend)) {
    if (late.aborted) break;
    onFigure(name);
    try {
      const { samples, words } = await measureFigure(name, { ...measuring, signal });
      wordsPerToken = words ?? wordsPerToken;
      figures.push(figureOf(name, samples));
    } catch (thrown) {
      if (cancelled.aborted) throw thrown;
      const { code, params } = asHearthlendError(thrown);
      error ??= late.aborted ? { code: 'BENCHMARK_LATE', params: { seconds: effort.backendMs / 1000 } } : { code, params };
    }
  }
  return { backend: worker.backend, gpu: worker.gpu, figures, error, score: scoreOf(figures), wordsPerToken };
}

async function measureFigure(name: FigureName, measuring: Measuring): Promise<{ samples: number[]; words?: number | null }> {
  const { effort } = measuring;
  switch (name) {
    case 'matrixFp32':
      return { samples: await measureMatrices('float32', measuring) };
    case 'matrixFp16':
      return { samples: await measureMatrices('float16', measuring) };
    case 'memoryBandwidth': {
      const bytes = 4 * effort.memoryFloats * (2 * MEMORY_LINKS + 2);
      return { samples: await rates('memory', memoryKernel(effort.memoryFloats, MEMORY_LINKS), bytes / GIGA, measuring) };
    }
    case 'upload':
      return { samples: await rates('upload', uploadKernel(effort.copyFloats), (4 * effort.copyFloats) / GIGA, measuring) };
    case 'download':
      return { samples: await rates('download', downloadKernel(effort.copyFloats), (4 * effort.copyFloats) / GIGA, measuring) };
    case 'tokens':
      return measureTokens(measuring);
    case 'modelLoad':
      return { samples: await measureLoads(measuring) };
  }
}

/** Samples of `work` per second: a kernel's runs, in whatever unit the work is. */
async function rates(name: string, kernel: Kernel, work: number, measuring: Measuring): Promise<number[]> {
  const { worker, signal, dir, effort } = measuring;
  const staged = stageKernel(dir, name, kernel);
  try {
    return await repeat(async () => work / ((await staged.run(worker, signal)).runMs / 1000), repeats(effort));
  } finally {
    staged.close();
  }
}

/** Finds the size of matrices at which a run is long enough to be told from its overhead, and measures that. */
async function measureMatrices(type: 'float32' | 'float16', measuring: Measuring): Promise<number[]> {
  const { worker, signal, dir, effort } = measuring;
  for (const [at, [size, links]] of effort.matrices.entries()) {
    const staged = stageKernel(dir, `${type}-${size}-${links}`, matrixKernel(type, size, links));
    try {
      await staged.run(worker, signal);
      const { runMs } = await staged.run(worker, signal);
      if (runMs < effort.leastRunMs && at < effort.matrices.length - 1) continue;
      const work = (2 * size ** 3 * links) / GIGA;
      return await repeat(async () => work / ((await staged.run(worker, signal)).runMs / 1000), { ...repeats(effort), warmUps: 0 });
    } finally {
      staged.close();
    }
  }
  return [];
}

async function measureTokens({ worker, practice, effort, signal }: Measuring) {
  const staged = stagePractice(practice, effort.tokens);
  let words: number | null = null;
  const samples = await repeat(async () => {
    const { runMs, tokensMade, outputs } = await staged.run(worker, signal);
    words ??= wordsPerToken(practice, outputs);
    return tokensMade / (runMs / 1000);
  }, repeats(effort));
  return { samples, words };
}

/** How many words of its text a token makes. */
function wordsPerToken({ decode }: PracticeModel, outputs: Uint8Array): number | null {
  const tokens = decodeSafetensors(outputs).get('tokens');
  if (tokens === undefined || tokens.data.byteLength === 0) return null;
  const ids = Array.from(new BigInt64Array(new Uint8Array(tokens.data).buffer), Number);
  const words = decode(ids).match(/[\p{L}\p{N}]+/gu)?.length ?? 0;
  return words / ids.length;
}

/** Each time by a worker that was just started, of a file that the system has in memory. */
async function measureLoads({ worker, practice, effort, signal }: Measuring): Promise<number[]> {
  const staged = stagePractice(practice, 1);
  const take = async () => {
    await worker.stop();
    return (await staged.run(worker, signal)).loadMs ?? 0;
  };
  return repeat(take, { ...repeats(effort), warmUps: 0, most: LOADS });
}

function repeats({ figureMs, leastSamples }: Effort) {
  return { warmUps: 2, least: leastSamples, most: MOST_SAMPLES, budgetMs: figureMs };
}
