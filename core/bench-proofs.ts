import { join } from 'node:path';
import type { AppPorts } from './app-ports.ts';
import { openRecord } from './backends/record.ts';
import type { Measure } from './bench/measure.ts';
import { measureProofs } from './bench/proof.ts';
import type { HardwareReport } from './contract/hardware.ts';
import { couldHaveGpu, type ProofParts, proveCpu, proveGpus, proveSoftware } from './gpu-proofs.ts';
import { detectWall } from './supervisor/sandbox/detect.ts';
import { resolveNeeds } from './supervisor/sandbox/needs.ts';

/** The tries of this machine's backends: its CPU's, each GPU's, and that of a Vulkan driver on the CPU where one is named. */
export async function* withProofs(ports: AppPorts, dir: string, hardware: () => Promise<HardwareReport>): AsyncGenerator<Measure> {
  const { nodePath, workerScript: scriptPath } = ports.parts;
  const needs = await resolveNeeds({ nodePath, scriptPath, modelsDir: dir, scratchBytes: 64 * 2 ** 20, heapMiB: 512 });
  const record = openRecord(join(dir, 'tested.json'));
  const parts: ProofParts = { ports: { ...ports, dataDir: dir }, needs, wall: await detectWall(needs), record, env: process.env };
  const { signal } = new AbortController();
  const { gpus } = couldHaveGpu(process.platform) ? await hardware() : { gpus: [] };
  yield* measureProofs({
    tries: [
      { name: 'the CPU', prove: () => proveCpu(parts, signal) },
      ...gpus.map((gpu) => ({
        name: `all of ${gpu.name}`,
        prove: async () => {
          const [proof] = await proveGpus(parts, [gpu], true, signal);
          return { works: proof?.backends.some(({ works }) => works) === true };
        },
      })),
      { name: 'WebGPU on a Vulkan driver of the CPU', prove: () => proveSoftware(parts, signal) },
    ],
  });
}
