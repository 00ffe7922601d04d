import { CPU } from './contract/backends.ts';
import { asHearthlendError } from './contract/errors.ts';
import type { Usage } from './contract/worker-host.ts';
import type { ComputedOn, GpuWorker } from './gpu-workers.ts';
import { runStage, type StageHooks } from './supervisor/stage-worker.ts';
import type { ShardTask, SupervisorOptions } from './supervisor/supervisor.ts';

/** Stages that one machine keeps at once. Each has a process, and a part of some model, to itself. */
const MOST_STAGES = 8;

type Places = Pick<GpuWorker, 'gpu' | 'aside' | 'memoryBytes' | 'binding'>;

/** Stages of decoders that are kept here, each in a worker of its own for as long as its generation takes. */
export interface StageWorkers {
  /** On the GPU with the fewest of them, else on the processor. */
  compute(task: Omit<ShardTask, 'provider'>, hooks: StageHooks): Promise<ComputedOn>;
  /** How many more there is room for. */
  room(): number;
  usages(): (Usage & { pid: number | undefined })[];
}

interface StageWorkersOptions {
  /** The GPUs that may compute. */
  gpus(): readonly Places[];
  /** How a worker is started that sees this device, or none. */
  options(modelMemoryBytes: number | null, device: Places['binding']['access'] | null): SupervisorOptions;
}

export function openStageWorkers({ gpus, options }: StageWorkersOptions): StageWorkers {
  const open = new Set<{ place: string | null; usage: () => (Usage & { pid: number | undefined }) | null }>();

  async function computeOn(place: Places | null, task: Omit<ShardTask, 'provider'>, hooks: StageHooks): Promise<ComputedOn> {
    const provider = place?.binding.provider ?? CPU;
    const entry = { place: place?.gpu ?? null, usage: (): (Usage & { pid: number | undefined }) | null => null };
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
      const count = ({ gpu }: Places) => [...open].filter(({ place }) => place === gpu).length;
      const [place] = gpus()
        .filter(({ aside }) => !aside)
        .sort((a, b) => count(a) - count(b));
      if (place === undefined) return computeOn(null, task, hooks);
      try {
        return await computeOn(place, task, hooks);
      } catch (thrown) {
        // Before its first step, so nothing is lost.
        if (asHearthlendError(thrown).code !== 'BACKEND_REFUSED') throw thrown;
        return await computeOn(null, task, hooks);
      }
    },
    room: () => MOST_STAGES - open.size,
    usages: () => [...open].map(({ usage }) => usage()).filter((each) => each !== null),
  };
}
