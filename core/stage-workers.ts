import { CPU } from './contract/backends.ts';
import { asHearthlendError, HearthlendError } from './contract/errors.ts';
import type { Usage } from './contract/worker-host.ts';
import type { ComputedOn, GpuWorker } from './gpu-workers.ts';
import { runStage, type StageHooks } from './supervisor/stage-worker.ts';
import type { ShardTask, SupervisorOptions } from './supervisor/supervisor.ts';

/** Stages that one machine keeps at once. Each has a process, and a part of some model, to itself. */
const MOST_STAGES = 8;

type Places = Pick<GpuWorker, 'gpu' | 'aside' | 'memoryBytes' | 'binding'>;

/** Stages of decoders that are kept here, each in a worker of its own for as long as its generation takes. */
export interface StageWorkers {
  /** On the GPU with the most memory left, else on the processor. @throws WORKER_STOPPED where there is no room now, and what computing throws */
  compute(task: Omit<ShardTask, 'provider'>, hooks: StageHooks): Promise<ComputedOn>;
  /** How many more there is room for, and how large one may be. */
  room(): { stages: number; stageBytes: number };
  usages(): (Usage & { pid: number | undefined })[];
}

interface StageWorkersOptions {
  /** The GPUs that may compute. */
  gpus(): readonly Places[];
  /** What models may take of this machine's own memory. */
  cpuMemoryBytes(): number;
  /** How a worker is started that sees this device, or none. */
  options(modelMemoryBytes: number | null, device: Places['binding']['access'] | null): SupervisorOptions;
}

export function openStageWorkers({ gpus, cpuMemoryBytes, options }: StageWorkersOptions): StageWorkers {
  const open = new Set<{ place: string | null; bytes: number; usage: () => (Usage & { pid: number | undefined }) | null }>();

  /** Where stages may be kept now, with what is left there; the most first. */
  function places(): { place: Places | null; freeBytes: number }[] {
    const able = gpus().filter(({ aside }) => !aside);
    const all = able.length > 0 ? able.map((place) => ({ place, bytes: place.memoryBytes })) : [{ place: null, bytes: cpuMemoryBytes() }];
    return all
      .map(({ place, bytes }) => ({ place, freeBytes: Math.max(0, bytes - keptAt(place?.gpu ?? null)) }))
      .sort((a, b) => b.freeBytes - a.freeBytes);
  }

  function keptAt(gpu: string | null): number {
    return [...open].filter(({ place }) => place === gpu).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async function computeOn(place: Places | null, task: Omit<ShardTask, 'provider'>, hooks: StageHooks): Promise<ComputedOn> {
    const provider = place?.binding.provider ?? CPU;
    const entry = {
      place: place?.gpu ?? null,
      bytes: bytesOf(task),
      usage: (): (Usage & { pid: number | undefined }) | null => null,
    };
    open.add(entry);
    try {
      const where = place === null ? options(null, null) : options(place.memoryBytes, place.binding.access);
      const onProcess: StageHooks['onProcess'] = (process) => {
        entry.usage = () => {
          const used = process.usage();
          return used === null ? null : { ...used, pid: process.pid };
        };
      };
      const made = await runStage(where, { ...task, provider }, { ...hooks, onProcess });
      return { ...made, backend: provider.name, gpu: place?.gpu ?? null };
    } finally {
      open.delete(entry);
    }
  }

  return {
    async compute(task, hooks) {
      const [{ place, freeBytes } = { place: null, freeBytes: 0 }] = places();
      // Another network's came between; it goes back, and to a machine with room. The owner's own work is done here or nowhere.
      if (task.shard.origin === 'network' && bytesOf(task) > freeBytes) throw new HearthlendError('WORKER_STOPPED');
      if (place === null) return computeOn(null, task, hooks);
      try {
        return await computeOn(place, task, hooks);
      } catch (thrown) {
        // Before its first step, so nothing is lost.
        if (asHearthlendError(thrown).code !== 'BACKEND_REFUSED') throw thrown;
        return await computeOn(null, task, hooks);
      }
    },
    room: () => ({ stages: MOST_STAGES - open.size, stageBytes: places()[0]?.freeBytes ?? 0 }),
    usages: () => [...open].map(({ usage }) => usage()).filter((each) => each !== null),
  };
}

function bytesOf({ model }: Pick<ShardTask, 'model'>): number {
  return model.manifest.files.reduce((sum, { bytes }) => sum + bytes, 0);
}
