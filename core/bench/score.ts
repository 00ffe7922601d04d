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

/** What the machine can do, by backend: medians as the benchmark found them, and its score (100: the scale's machine). How busy it was is told first. */
export function* machineScore({ backends, threads }: BenchmarkResult): Generator<Measure> {
  for (const { backend, gpu, figures, score } of backends) {
    const where = gpu === null ? `${backend} (${threads} ${threads === 1 ? 'thread' : 'threads'})` : `${backend} on ${gpu}`;
    for (const { name, median } of figures) yield measure(`${where}: ${NAMES[name]}`, median, FIGURE_UNITS[name]);
    if (score !== null) yield measure(`${where}: score`, score, 'points');
  }
}
