import { join } from 'node:path';
import { encodeSafetensors } from '../../core/contract/safetensors.ts';
import { createVet } from '../../core/models/vetting/vet.ts';
import { nativeWorkers } from '../../core/supervisor/native-process.ts';
import { detectWall } from '../../core/supervisor/sandbox/detect.ts';
import { resolveNeeds } from '../../core/supervisor/sandbox/needs.ts';
import { planLaunch } from '../../core/supervisor/sandbox/plan.ts';
import * as hostile from '../fixtures/hostile-models.ts';
import { modelCases } from '../fixtures/onnx-models.ts';
import type { Finding } from './finding.ts';
import { fuzzBench, passOver } from './fuzz-bench.ts';
import { mutated, numbers } from './mutate.ts';

/** A mutated model may loop; what is not done by then is not waited for. */
const WALL_MS = 2000;

/** Models with bytes changed, and inputs: vetted, and where they pass, run by a real worker behind this machine's wall. */
export async function tortureByModels(dir: string, models: number, seed: number): Promise<Finding> {
  const needs = await resolveNeeds({
    nodePath: process.execPath,
    scriptPath: join(import.meta.dirname, '../../dist/worker/native.mjs'),
    modelsDir: dir,
    scratchBytes: 1 << 20,
    heapMiB: 512,
  });
  const wall = await detectWall(needs);
  const start = nativeWorkers(({ modelsDir }) => planLaunch(wall, { ...needs, modelsDir }));
  let vetted = 0;
  const vet = createVet();
  const bench = fuzzBench(dir, {
    start,
    vet: async (...model) => {
      await vet(...model);
      vetted += 1;
    },
  });
  const broken = [hostile.recurses(), hostile.nests(8), hostile.lies()].map(({ model, inputs }) => ({
    files: { 'model.onnx': model },
    inputs,
  }));
  // Long chains and weights in a row would take most of the changes to where they change least.
  const cases = [...modelCases().filter(({ name }) => name !== '600 operators'), ...broken].map(({ files, inputs }) => ({
    files: files as Record<string, Uint8Array>,
    inputs: encodeSafetensors(inputs),
  }));
  const random = numbers(seed);
  for (let each = 0; each < models; each += 1) {
    const { files, inputs } = cases[each % cases.length] as (typeof cases)[number];
    const given = random() < 0.9 ? { ...files, 'model.onnx': mutated(files['model.onnx'] as Uint8Array, random) } : files;
    const task = passOver(bench.stored(given), given === files ? mutated(inputs, random) : inputs, WALL_MS);
    await bench.run(task, `model ${each} of seed ${seed}`);
  }
  const { codes, starts, wrong } = await bench.end();
  return { did: `${models} mutated models of seed ${seed}, ${vetted} of them let through to ${starts} workers: ${codes}`, wrong };
}
