import { type BenchmarkResult, FIGURE_UNITS, type FigureName } from '../contract/benchmark.ts';
import { type Measure, measure } from './measure.ts';

const NAMES: Record<FigureName, string> = {
  matrixFp32: 'matrix products, fp32',
  matrixFp16: 'matrix products, fp16',
  memoryBandwidth: 'memory bandwidth',
  upload: 'copies to the device',
  download: 'copies from the device',
  tokens: 'tokens of the practice model',
  modelLoad: 'loading of the practice model',
};

/** What the machine can do, by backend: medians as the benchmark found them, and its score (100: the scale's machine). */
export function* machineScore({ backends, threads, noise }: BenchmarkResult): Generator<Measure> {
  const caveat = noise === null ? '' : noise.reason === 'busy' ? ', while other programs were at work' : ', with samples that vary';
  for (const { backend, gpu, figures, score } of backends) {
    const where = gpu === null ? `${backend} (${threads} threads)` : `${backend} on ${gpu}`;
    for (const { name, median } of figures) yield measure(`${where}: ${NAMES[name]}${caveat}`, median, FIGURE_UNITS[name]);
    if (score !== null) yield measure(`${where}: score${caveat}`, score, 'points');
  }
}
