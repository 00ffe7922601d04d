import type { Backend } from '../../core/contract/backends.ts';
import type { BenchmarkResult } from '../../core/contract/benchmark.ts';

export function backend(fields: Partial<Backend> = {}): Backend {
  return {
    name: 'webgpu',
    works: true,
    software: false,
    reason: null,
    remedy: null,
    difference: 1e-6,
    firstMs: 840,
    runMs: 2.1,
    testedAt: new Date(2026, 4, 1, 12).getTime(),
    ...fields,
  };
}

/** What such a machine measures; not a real one. */
export function benchmarkResult(fields: Partial<BenchmarkResult> = {}): BenchmarkResult {
  return {
    at: new Date(2026, 4, 1, 12, 30).getTime(),
    tookMs: 9000,
    quick: true,
    machine: { cpu: 'AMD Ryzen 9 5950X', cores: 16, memoryBytes: 32 * 2 ** 30, platform: 'linux', gpus: [] },
    version: '0.1.0',
    onnxruntime: '1.30.0',
    threads: 8,
    othersLoad: 0.02,
    noise: null,
    backends: [
      {
        backend: 'webgpu',
        gpu: '0000:01:00.0',
        score: 412.4,
        error: null,
        figures: [
          { name: 'matrixFp32', median: 11_250.4, spread: 0.012, samples: 7 },
          { name: 'upload', median: 11.8, spread: 0.02, samples: 7 },
          { name: 'tokens', median: 812.3, spread: 0.031, samples: 5 },
        ],
      },
      { backend: 'cpu', gpu: null, score: null, error: { code: 'BENCHMARK_LATE', params: { seconds: 60 } }, figures: [] },
    ],
    recommended: { backend: 'webgpu', gpu: '0000:01:00.0' },
    shardClasses: [
      { name: 'run-small', serves: true, tokensPerSecond: null },
      { name: 'decoder-8b-4bit', serves: true, tokensPerSecond: 96.2 },
      { name: 'decoder-70b-4bit', serves: false, tokensPerSecond: null },
    ],
    wordsPerSecond: 530,
    watts: 301,
    sentence: { key: 'benchmark.sentence.gpu', params: { words: 530, gpu: 'NVIDIA GeForce RTX 3090' } },
    ...fields,
  };
}
