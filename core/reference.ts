import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { AppPorts } from './app-ports.ts';
import { CPU } from './contract/backends.ts';
import type { ReferenceWorker } from './contract/jobs.ts';
import type { Log } from './log/log.ts';
import { createVet } from './models/vetting/vet.ts';
import { nativeWorkers } from './supervisor/native-process.ts';
import { detectWall } from './supervisor/sandbox/detect.ts';
import { resolveNeeds } from './supervisor/sandbox/needs.ts';
import { planLaunch, type Wall } from './supervisor/sandbox/plan.ts';
import { createSupervisor } from './supervisor/supervisor.ts';
import { threadsFor } from './workers.ts';

const SCRATCH_BYTES = 64 * 2 ** 20;
const HEAP_MIB = 512;

interface ReferenceOptions {
  dir: string;
  parts: Pick<AppPorts['parts'], 'nodePath' | 'workerScript'>;
  modelMemoryBytes: number;
  clock: () => number;
  log: Log;
}

/** A coordinator's own worker on the processor, without an agent around it: what it audits strangers by, behind the same wall as theirs. */
export async function openReference({ dir, parts, modelMemoryBytes, clock, log }: ReferenceOptions): Promise<{
  reference: ReferenceWorker;
  wall: Wall;
  close(): Promise<void>;
}> {
  const { nodePath, workerScript: scriptPath } = parts;
  const needs = await resolveNeeds({ nodePath, scriptPath, modelsDir: dir, scratchBytes: SCRATCH_BYTES, heapMiB: HEAP_MIB });
  const wall = await detectWall(needs);
  const supervisor = createSupervisor({
    workDir: join(dir, 'reference'),
    start: nativeWorkers(({ modelsDir }) => planLaunch(wall, { ...needs, modelsDir, device: null })),
    vet: createVet(),
    ...{ modelMemoryBytes, clock, log },
  });
  const threads = threadsFor('network', null, availableParallelism());
  return {
    wall,
    reference: {
      async compute({ model, shard, inputs, forced }) {
        const { digest, local } = model;
        const files = { digest, manifest: local.manifest, files: local.files };
        const task = { shard, model: files, inputs, threads, provider: CPU };
        return (await supervisor.run(forced === undefined ? task : { ...task, forced })).outputs;
      },
    },
    close: () => supervisor.dispose(),
  };
}
