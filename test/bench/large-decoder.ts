import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Measure, measure } from '../../core/bench/measure.ts';
import { createVet } from '../../core/models/vetting/vet.ts';
import { nativeWorkers } from '../../core/supervisor/native-process.ts';
import { detectWall } from '../../core/supervisor/sandbox/detect.ts';
import { resolveNeeds } from '../../core/supervisor/sandbox/needs.ts';
import { planLaunch } from '../../core/supervisor/sandbox/plan.ts';
import { LARGE, parametersOf } from '../fixtures/decoder/decoder-shape.ts';
import { makeDecoder } from '../fixtures/decoder/make-decoder.ts';

const MODEL_MEMORY_BYTES = 4 * 2 ** 30;

/** What benches of the decoder of 309 million parameters begin with: its folder, and sandboxed workers for it. */
export async function openLargeDecoder() {
  const given = process.argv[2];
  const folder = given ?? mkdtempSync(join(tmpdir(), 'hearthlend-decoder-'));
  const modelPath = join(folder, 'onnx/model.onnx');
  if (!existsSync(modelPath)) makeDecoder(folder, LARGE);
  const workDir = mkdtempSync(join(tmpdir(), 'hearthlend-bench-'));
  const needs = await resolveNeeds({
    nodePath: process.execPath,
    scriptPath: join(import.meta.dirname, '../../dist/worker/native.mjs'),
    ...{ modelsDir: workDir, scratchBytes: 1 << 20, heapMiB: 512 },
  });
  const wall = await detectWall(needs);
  const threads = Math.max(1, cpus().length - 1);
  console.log(
    `machine: ${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}, ${threads} threads, load ${loadavg()[0]?.toFixed(2)}; ` +
      `${(parametersOf(LARGE) / 1e6).toFixed(0)} million parameters`,
  );
  return {
    ...{ folder, modelPath, workDir, threads },
    /** How a worker is started and bounded. */
    worker: {
      ...{ workDir, modelMemoryBytes: MODEL_MEMORY_BYTES, vet: createVet(), clock: Date.now },
      start: nativeWorkers(({ modelsDir }) => planLaunch(wall, { ...needs, modelsDir })),
    },
    promptOf: (length: number) => Array.from({ length }, (_, at) => 1 + ((at * 7) % 250)),
    close() {
      rmSync(workDir, { recursive: true, force: true });
      if (given === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** One line of the bench. */
export function report(name: string, value: number, unit: Measure['unit'], baseline?: NonNullable<Measure['baseline']>): void {
  const compared = baseline === undefined ? {} : { baseline, ratio: value / baseline.value };
  console.log(JSON.stringify(measure(name, value, unit, compared)));
}
