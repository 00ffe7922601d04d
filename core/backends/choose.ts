import type { Backend, BackendName } from '../contract/backends.ts';
import type { Gpu } from '../contract/hardware.ts';
import type { Settings } from '../contract/settings.ts';

/** Backends by speed where several work, as published measurements have it: a vendor's own first. */
const BEST_FIRST: readonly BackendName[] = ['cuda', 'coreml', 'dml', 'webgpu'];

/** One worker: on which GPU, through what, and how much of its memory models may take. */
export interface WorkerChoice {
  gpu: Gpu;
  backend: BackendName;
  memoryBytes: number;
}

export interface ProvenGpu {
  gpu: Gpu;
  backends: readonly Backend[];
}

/** Backends to try on a GPU of this platform, best first. */
export function candidatesFor(gpu: Pick<Gpu, 'vendor'>, platform: NodeJS.Platform, arch: string): BackendName[] {
  if (platform === 'linux') return gpu.vendor === 'NVIDIA' && arch === 'x64' ? ['cuda', 'webgpu'] : ['webgpu'];
  if (platform === 'win32') return ['dml', 'webgpu'];
  if (platform === 'darwin') return arch === 'arm64' ? ['coreml', 'webgpu'] : [];
  return [];
}

/**
 * The workers that compute: one for each GPU that the settings allow and a proven backend serves; none where the CPU is to do it. Drivers that
 * compute on the CPU never count.
 * @param sharedBytes what models may take where the GPU has no memory of its own, or it isn't known
 */
export function chooseWorkers(gpus: readonly ProvenGpu[], settings: Settings['worker'], sharedBytes: number): WorkerChoice[] {
  const { use, memoryShare, backend: wanted } = settings.gpus;
  if (wanted === 'cpu') return [];
  return gpus.flatMap(({ gpu, backends }): WorkerChoice[] => {
    if (gpu.mig?.role === 'parent' || (use !== null && !use.includes(gpu.id))) return [];
    const usable = backends.filter(({ works, software, name }) => works && !software && (wanted === 'auto' || name === wanted));
    const best = BEST_FIRST.find((name) => usable.some((each) => each.name === name));
    if (best === undefined) return [];
    return [{ gpu, backend: best, memoryBytes: Math.floor((gpu.vramBytes ?? sharedBytes) * memoryShare) }];
  });
}
