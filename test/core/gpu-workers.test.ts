import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { untestedCpu } from '../../core/backends/prove.ts';
import { openRecord } from '../../core/backends/record.ts';
import { ACROSS_BACKENDS, type Backend, type BackendName, CPU } from '../../core/contract/backends.ts';
import type { Gpu } from '../../core/contract/hardware.ts';
import { decodeSafetensors } from '../../core/contract/safetensors.ts';
import { Settings } from '../../core/contract/settings.ts';
import type { Tensor } from '../../core/contract/tensor.ts';
import type { Binding, Proof } from '../../core/gpu-proofs.ts';
import { type ComputedOn, openGpuWorkers } from '../../core/gpu-workers.ts';
import { createVet } from '../../core/models/vetting/vet.ts';
import { nativeWorkers } from '../../core/supervisor/native-process.ts';
import { NO_DEVICE } from '../../core/supervisor/sandbox/device-access.ts';
import { planLaunch } from '../../core/supervisor/sandbox/plan.ts';
import { createSupervisor, type RunHooks, type ShardTask } from '../../core/supervisor/supervisor.ts';
import { gpuSample } from '../fakes/telemetry.ts';
import { model, node, tensor, value } from '../fixtures/onnx-writer.ts';
import { findSwiftShader, withoutSwiftShader } from './supervisor/sandbox/gpu/software.ts';
import {
  failure,
  float32,
  generateTask,
  hostile,
  needs,
  runTask,
  storeModel,
  storePracticeModel,
  supervise,
  tokensOf,
  wall,
} from './supervisor/workbench.ts';

type Launcher = Parameters<typeof nativeWorkers>[0];
const [first, second] = ['0000:01:00.0', '0000:41:00.0'] as const;

function gpu(id: string): Gpu {
  return {
    ...{ id, vendor: 'AMD', name: 'AMD Radeon RX 7900 XTX', model: 'Navi 31', pci: { address: id, vendorId: '1002', deviceId: '744c' } },
    ...{ vramBytes: 24 * 2 ** 30, driver: 'amdgpu', driverVersion: null, kind: 'discrete', external: false, link: null, mig: null },
    apis: { cuda: null, vulkan: '1.3', directx: null, metal: null },
  };
}
const backend = (name: BackendName, works = true): Backend => ({
  ...{ name, works, software: false, reason: null, remedy: null },
  ...{ difference: 1e-7, firstMs: 900, runMs: 1, testedAt: 1 },
});
function proofOf(id: string, access: Binding['access'] = NO_DEVICE): Proof {
  const binding: Binding = { provider: { name: 'webgpu', deviceId: 0 }, access, key: `webgpu ${id}` };
  return { gpu: gpu(id), backends: [backend('webgpu')], bindings: new Map([['webgpu', binding]]) };
}

interface Options {
  proofs?: Proof[];
  /** How a worker on a GPU is started; by default really. */
  launch?: Launcher;
  holds?: boolean;
  settings?: Settings;
}

/** Workers on GPUs that were proven, with a CPU's beside them that counts what it computed. */
async function bench({ proofs = [proofOf(first)], launch, holds = true, settings = Settings.parse({}) }: Options = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'hearthlend-gpus-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const record = openRecord(join(dir, 'tested.json'));
  const live = { current: settings };
  const logged: string[] = [];
  const gpus = openGpuWorkers({
    log: (_level, event) => void logged.push(event),
    settings: live,
    record,
    proveGpus: async () => proofs,
    proveCpu: async () => untestedCpu(),
    supervise: (name, modelMemoryBytes, device) => {
      const start = nativeWorkers(launch ?? (({ modelsDir }) => planLaunch(wall, { ...needs, modelsDir, device })));
      return createSupervisor({ workDir: join(dir, name), start, modelMemoryBytes, clock: Date.now, vet: createVet() });
    },
    holds: async () => holds,
    onChange: () => undefined,
  });
  onTestFinished(() => gpus.close());
  const cpu = supervise();
  let onCpu = 0;
  const compute = ({ provider: _, ...task }: ShardTask, hooks: RunHooks = {}): Promise<ComputedOn> => {
    const cpuComputes = async (its: RunHooks): Promise<ComputedOn> => {
      onCpu += 1;
      return { ...(await cpu.run({ ...task, provider: CPU }, its)), backend: 'cpu', gpu: null };
    };
    return gpus.compute(task, hooks, cpuComputes) ?? cpuComputes(hooks);
  };
  await gpus.prove({ gpus: proofs.map((proof) => proof.gpu) }, false);
  return { gpus, live, logged, record, compute, onCpu: () => onCpu };
}

const product = () =>
  storeModel({
    'model.onnx': model({
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      inputs: [value('x', 'float32', [1, 4])],
      outputs: [value('y', 'float32', [1, 4])],
      constants: [
        tensor(
          'w',
          'float32',
          [4, 4],
          Float32Array.from({ length: 16 }, (_, at) => Math.cos(at)),
        ),
      ],
    }),
  });
const inputs = new Map([['x', float32([1, 4], [1, 2, 3, 4])]]);

test('a proven GPU computes, and its answers agree with the CPU that computed until then', async (ctx) => {
  const why = withoutSwiftShader() ?? (wall.wall === 'bubblewrap' ? undefined : 'there is no bubblewrap that works here');
  if (why !== undefined) ctx.skip(why);
  const plan = await findSwiftShader();
  if (!plan.ok) throw new Error(plan.reason.key);
  const { gpus, compute, onCpu } = await bench({ proofs: [proofOf(first, plan.access)] });
  expect(gpus.report()).toMatchObject({ workers: [{ gpu: first, backend: 'webgpu' }], reason: null });
  const stored = product();
  const made = await compute(runTask(stored, inputs));
  expect(made).toMatchObject({ backend: 'webgpu', gpu: first });
  expect(onCpu()).toBe(0);
  expect(gpus.workers()[0]?.warm).toEqual([stored.digest]);
  const floats = (outputs: Uint8Array) => new Float32Array(new Uint8Array((decodeSafetensors(outputs).get('y') as Tensor).data).buffer);
  const expected = floats((await supervise().run(runTask(stored, inputs))).outputs);
  const distance = Math.hypot(...floats(made.outputs).map((each, at) => each - (expected[at] as number))) / Math.hypot(...expected);
  expect(distance).toBeLessThan(ACROSS_BACKENDS);
});

test('a model that a backend refuses is computed by the CPU, at once and from then on; another is tried on the GPU', async () => {
  // The sandbox has no driver in it: WebGPU refuses whatever comes.
  const { gpus, compute, onCpu, logged, record } = await bench();
  const stored = product();
  expect((await compute(runTask(stored, inputs))).backend).toBe('cpu');
  expect(logged.filter((event) => event === 'the CPU takes over')).toHaveLength(1);
  expect(record.refuses(`webgpu ${first}`, stored.digest)).toBe(true);
  expect((await compute(runTask(stored, inputs))).backend).toBe('cpu');
  expect(logged.filter((event) => event === 'the CPU takes over')).toHaveLength(1);
  expect(onCpu()).toBe(2);
  expect(gpus.workers()[0]?.refuses('0'.repeat(64))).toBe(false);
});

test('a driver that crashes under a model leaves that model to the CPU', async () => {
  const crashing = await bench({ launch: hostile('crashes') });
  const stored = product();
  expect((await crashing.compute(runTask(stored, inputs))).backend).toBe('cpu');
  expect(crashing.record.refuses(`webgpu ${first}`, stored.digest)).toBe(true);
});

test('what is wrong with the shard stays wrong: the CPU does not try, and nothing is kept against the model', async () => {
  const { compute, onCpu, record } = await bench({ launch: hostile('hangs') });
  const stored = product();
  expect(await failure(compute(runTask(stored, inputs, { wallMs: 200 })))).toMatchObject({ code: 'WORKER_TIMEOUT' });
  expect(onCpu()).toBe(0);
  const abort = new AbortController();
  const running = compute(runTask(stored, inputs), { signal: abort.signal });
  abort.abort();
  expect(await failure(running)).toMatchObject({ code: 'CANCELLED' });
  expect(record.refuses(`webgpu ${first}`, stored.digest)).toBe(false);
});

test('each GPU computes one shard at a time, and has the next behind it; what comes meanwhile goes to the other, then to the CPU', async () => {
  const { gpus, compute, onCpu } = await bench({ proofs: [proofOf(first), proofOf(second)], launch: hostile('hangs') });
  const abort = new AbortController();
  const task = generateTask(product(), [0], { maxNewTokens: 1 });
  const hooks = { signal: abort.signal };
  const running = [compute(task, hooks), compute(task, hooks)];
  expect(gpus.workers().map(({ handed }) => handed)).toEqual([1, 1]);
  running.push(compute(task, hooks), compute(task, hooks));
  expect(gpus.workers().map(({ handed }) => handed)).toEqual([2, 2]);
  const ends = running.map((each) => failure(each));
  expect((await compute(runTask(product(), inputs))).backend).toBe('cpu');
  expect(onCpu()).toBe(1);
  abort.abort();
  await Promise.all(ends);
  expect(gpus.workers().map(({ handed }) => handed)).toEqual([0, 0]);
});

test('the settings take GPUs away and give them back while the agent runs', async () => {
  const { gpus, live } = await bench({ proofs: [proofOf(first), proofOf(second)] });
  const computing = () => gpus.report().workers.map((worker) => worker.gpu);
  expect(computing()).toEqual([first, second]);
  const [kept] = gpus.workers().slice(1);
  live.current = Settings.parse({ worker: { gpus: { use: [second] } } });
  await gpus.choose();
  expect(computing()).toEqual([second]);
  expect(gpus.workers()[0]).toBe(kept);
  live.current = Settings.parse({ worker: { gpus: { backend: 'cpu' } } });
  await gpus.choose();
  expect(gpus.report()).toMatchObject({ workers: [], reason: { key: 'backend.cpu-serves-chosen' } });
  live.current = Settings.parse({});
  await gpus.choose();
  expect(computing()).toEqual([first, second]);
});

test('a GPU with whose driver the sandbox does not hold computes nothing, and the report says so', async () => {
  const { gpus } = await bench({ holds: false });
  expect(gpus.report()).toMatchObject({
    workers: [],
    gpus: [{ gpu: first, backends: [{ works: false, reason: { key: 'backend.broken-sandbox' } }] }],
    reason: { key: 'backend.cpu-serves-broken' },
  });
});

test('a machine without a GPU, or without one that works, says that the CPU computes', async () => {
  expect((await bench({ proofs: [] })).gpus.report()).toMatchObject({ workers: [], gpus: [], reason: { key: 'backend.cpu-serves-none' } });
  const broken: Proof = { gpu: gpu(first), backends: [backend('webgpu', false)], bindings: new Map() };
  expect((await bench({ proofs: [broken] })).gpus.report().reason?.key).toBe('backend.cpu-serves-broken');
});

test('a driver that crashes under a generation leaves it to the CPU, and tokens that were told are not told again', async () => {
  const { compute } = await bench({ launch: hostile('crashes-after-two-tokens') });
  const told: number[] = [];
  const made = await compute(generateTask(storePracticeModel(), [0, 5, 9], { maxNewTokens: 12 }), {
    onToken: (_token, index) => void told.push(index),
  });
  expect(made.backend).toBe('cpu');
  expect(told).toEqual(tokensOf(made.outputs).map((_, index) => index));
});

/** A GPU's worker that computes on the processor, really. */
function standIn(changes: Partial<Gpu> = {}): Proof {
  const binding: Binding = { provider: CPU, access: NO_DEVICE, key: `webgpu ${first}` };
  return { gpu: { ...gpu(first), ...changes }, backends: [backend('webgpu')], bindings: new Map([['webgpu', binding]]) };
}
const LIMIT_BYTES = Math.floor(24 * 2 ** 30 * 0.8);
const holding = (memoryOursBytes: number | null, id = first as string) => [gpuSample({ gpu: id, memoryOursBytes })];

test("a shard whose worker holds more of the GPU's memory than its share fails by that limit's name, and the next one is computed there", async () => {
  const { gpus, compute, onCpu, logged } = await bench({ proofs: [standIn()] });
  const task = generateTask(storePracticeModel(), [0, 5, 9], { maxNewTokens: 12, stopTokens: [] });
  const told: number[] = [];
  const onToken = (_token: number, index: number) => {
    told.push(index);
    if (index === 1) gpus.limitVram(holding(LIMIT_BYTES + 1));
  };
  expect(await failure(compute(task, { onToken }))).toEqual({ code: 'WORKER_OUT_OF_VRAM', params: { limitBytes: LIMIT_BYTES } });
  expect(gpus.workers()[0]?.supervisor.running()).toBe(false);
  expect(logged.filter((event) => event === 'gpu-memory-limit')).toHaveLength(1);

  const next = await compute(task);
  expect(next).toMatchObject({ gpu: first, tokensMade: 12 });

  // Now the worker holds what that one left, too: this one isn't blamed for it, and tells no token twice.
  told.length = 0;
  const again = await compute(task, { onToken: (token, index) => onToken(token, index) });
  expect(again).toMatchObject({ gpu: first, commitment: next.commitment });
  expect(told).toEqual(Array.from({ length: 12 }, (_, index) => index));

  gpus.limitVram(holding(LIMIT_BYTES + 1));
  gpus.limitVram(holding(LIMIT_BYTES + 1));
  expect(await compute(task)).toMatchObject({ gpu: first, commitment: next.commitment, loadMs: expect.any(Number) });
  expect(logged.filter((event) => event === 'gpu-memory-limit')).toHaveLength(3);
  expect(onCpu()).toBe(0);
});

test('what waits in a worker that is killed for what another shard holds of the GPU is computed by the next one, there', async () => {
  const { gpus, compute, onCpu } = await bench({ proofs: [standIn()] });
  const model = storePracticeModel();
  const task = generateTask(model, [0, 5, 9], { maxNewTokens: 12, stopTokens: [] });
  const { commitment } = await compute(task);
  const lane = gpus.workers()[0];
  let waiting: Promise<ComputedOn> | undefined;
  const told: number[] = [];
  const made = await compute(task, {
    onToken(_token, index) {
      told.push(index);
      waiting ??= compute(task);
      if (index === 5) gpus.limitVram(holding(LIMIT_BYTES + 1));
    },
  });
  // It had the worker from others, and so is tried once more, alone.
  expect(made).toMatchObject({ gpu: first, commitment, loadMs: expect.any(Number) });
  expect(told).toEqual(Array.from({ length: 12 }, (_, index) => index));
  expect(await waiting).toMatchObject({ gpu: first, commitment });
  expect(lane?.handed).toBe(0);
  expect(onCpu()).toBe(0);
});

test("what a GPU's worker holds is not known, or not the GPU's own: it goes on", async () => {
  const task = generateTask(storePracticeModel(), [0, 5, 9], { maxNewTokens: 3, stopTokens: [] });
  for (const [proof, samples] of [
    [standIn(), [...holding(null), ...holding(2 ** 40, second), ...holding(LIMIT_BYTES)]],
    [standIn({ kind: 'integrated', vramBytes: null }), holding(2 ** 40)],
  ] as const) {
    const { gpus, compute } = await bench({ proofs: [proof] });
    expect(await compute(task, { onToken: () => gpus.limitVram(samples) })).toMatchObject({ gpu: first, tokensMade: 3 });
  }
});
