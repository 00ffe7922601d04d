import { expect, test } from 'vitest';
import { openStageWorkers } from '../../core/stage-workers.ts';
import { failure, generateTask } from './supervisor/workbench.ts';

/** A stage whose files take so many bytes. */
function stage(bytes: number, origin: 'own' | 'network') {
  const manifest = { format: 'onnx' as const, entry: 'm.onnx', files: [{ path: 'm.onnx', bytes, digest: 'ab'.repeat(32) }] };
  const task = generateTask({ digest: 'cd'.repeat(32), manifest, files: new Map() }, [1]);
  return { ...task, shard: { ...task.shard, origin } };
}

const hooks = { exchange: async () => ({ type: 'wait' as const }), onBegin: () => undefined, signal: new AbortController().signal };
const place = (gpu: string, memoryBytes: number, aside = false) => ({ gpu, memoryBytes, aside, binding: {} }) as never;
/** Whatever comes to be started says so. */
const options = () => {
  throw new Error('it was started');
};

test('a machine says how large a stage it has room for: on the GPU with the most, else in its own memory', () => {
  const open = (gpus: never[]) => openStageWorkers({ gpus: () => gpus, cpuMemoryBytes: () => 100, options }).room();
  expect(open([])).toEqual({ stages: 8, stageBytes: 100 });
  expect(open([place('a', 30), place('b', 50), place('c', 90, true)])).toEqual({ stages: 8, stageBytes: 50 });
});

test('a stranger’s stage without room goes back unharmed, the owner’s own is tried', async () => {
  const workers = openStageWorkers({ gpus: () => [], cpuMemoryBytes: () => 100, options });
  expect(await failure(workers.compute(stage(101, 'network'), hooks))).toMatchObject({ code: 'WORKER_STOPPED' });
  await expect(workers.compute(stage(100, 'network'), hooks)).rejects.toThrow('it was started');
  await expect(workers.compute(stage(101, 'own'), hooks)).rejects.toThrow('it was started');
  expect(workers.room()).toEqual({ stages: 8, stageBytes: 100 });
});
