import { expect, test } from 'vitest';
import { machineScore } from '../../../core/bench/score.ts';
import type { BenchmarkResult } from '../../../core/contract/benchmark.ts';

test('the machine is told by backend, figure after figure in its unit, with a score where there is one', () => {
  const figure = (name: 'matrixFp32' | 'modelLoad', median: number) => ({ name, median, spread: 0.01, samples: 5 });
  const backends: BenchmarkResult['backends'] = [
    { backend: 'cpu', gpu: null, figures: [figure('matrixFp32', 99.999), figure('modelLoad', 120)], error: null, score: 104.2 },
    { backend: 'webgpu', gpu: '0000:01:00.0', figures: [], error: { code: 'RUN_FAILED', params: {} }, score: null },
  ];
  expect([...machineScore({ backends, threads: 1 } as BenchmarkResult)]).toEqual([
    { event: 'measure', name: 'cpu (1 thread): matrix products, fp32', value: 100, unit: 'GFLOP/s' },
    { event: 'measure', name: 'cpu (1 thread): loading of the practice model', value: 120, unit: 'ms' },
    { event: 'measure', name: 'cpu (1 thread): score', value: 104.2, unit: 'points' },
  ]);
});
