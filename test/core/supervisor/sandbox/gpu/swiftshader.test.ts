import { expect, test } from 'vitest';
import { ACROSS_BACKENDS } from '../../../../../core/contract/backends.ts';
import { decodeSafetensors } from '../../../../../core/contract/safetensors.ts';
import type { Tensor } from '../../../../../core/contract/tensor.ts';
import { planLaunch } from '../../../../../core/supervisor/sandbox/plan.ts';
import { model, node, tensor, value } from '../../../../fixtures/onnx-writer.ts';
import {
  failure,
  float32,
  generateTask,
  needs,
  runTask,
  storeModel,
  storePracticeModel,
  supervise,
  tokensOf,
  wall,
} from '../../workbench.ts';
import { findSwiftShader, withoutSwiftShader } from './software.ts';

const WEBGPU = { name: 'webgpu', deviceId: 0 } as const;
const wave = (count: number, step: number) => Float32Array.from({ length: count }, (_, at) => Math.sin(at * step));

const mixed = () =>
  storeModel({
    'model.onnx': model({
      nodes: [node('MatMul', ['x', 'w'], ['m']), node('Tanh', ['m'], ['t']), node('Softmax', ['t'], ['y'], { axis: 1 })],
      inputs: [value('x', 'float32', ['n', 32])],
      outputs: [value('y', 'float32', ['n', 32])],
      constants: [tensor('w', 'float32', [32, 32], wave(1024, 0.37))],
    }),
  });
const floatsOf = (outputs: Uint8Array, name: string) =>
  new Float32Array(new Uint8Array((decodeSafetensors(outputs).get(name) as Tensor).data).buffer);

test("WebGPU computes in the sandbox with SwiftShader's files and no others beside the worker's, and as the CPU does", async (ctx) => {
  const why = withoutSwiftShader() ?? (wall.wall === 'bubblewrap' ? undefined : 'there is no bubblewrap that works here');
  if (why !== undefined) ctx.skip(why);
  const plan = await findSwiftShader();
  if (!plan.ok) throw new Error(`no plan: ${plan.reason.key}`);
  const { access } = plan;
  expect(access.nodes).toEqual([]);
  expect(access.ioctls).toBe('files');
  expect(access.files.some((path) => path.startsWith('/sys'))).toBe(false);
  const supervisor = supervise({ launch: ({ modelsDir }) => planLaunch(wall, { ...needs, modelsDir, device: access }) });
  const stored = mixed();
  const inputs = new Map([['x', float32([5, 32], wave(160, 0.11))]]);
  const onGpu = await supervisor.run({ ...runTask(stored, inputs, { provider: WEBGPU }), strict: true });
  const onCpu = await supervisor.run(runTask(stored, inputs));
  const [actual, expected] = [floatsOf(onGpu.outputs, 'y'), floatsOf(onCpu.outputs, 'y')];
  const distance = Math.hypot(...actual.map((each, at) => each - (expected[at] as number))) / Math.hypot(...expected);
  expect(distance).toBeLessThan(ACROSS_BACKENDS);
  expect(onGpu.commitment).not.toBe(onCpu.commitment);
  // A decoder with its cache, the same way: the practice model draws the same tokens.
  const practice = storePracticeModel();
  const generate = (provider?: typeof WEBGPU) =>
    supervisor.run(generateTask(practice, [0, 318, 27, 99, 12], { maxNewTokens: 2, wallMs: 100_000, ...(provider && { provider }) }));
  expect(tokensOf((await generate(WEBGPU)).outputs)).toEqual(tokensOf((await generate()).outputs));
}, 120_000);

test('a provider that this machine or its sandbox lacks is a coded refusal, and the worker goes on with the CPU', async () => {
  const supervisor = supervise();
  const stored = mixed();
  const inputs = new Map([['x', float32([1, 32], wave(32, 0.11))]]);
  const ask = (name: 'webgpu' | 'cuda' | 'dml' | 'coreml') =>
    failure(supervisor.run(runTask(stored, inputs, { provider: { name, deviceId: 0 } })));
  expect(await ask('coreml')).toMatchObject({ code: 'BACKEND_REFUSED', params: { backend: 'coreml' } });
  if (process.platform === 'linux') {
    expect(await ask('webgpu')).toMatchObject({
      code: 'BACKEND_REFUSED',
      params: { detail: expect.stringContaining('No supported adapters') },
    });
    expect(await ask('cuda')).toMatchObject({ code: 'BACKEND_REFUSED', params: { detail: expect.stringContaining('shared library') } });
    expect(await ask('dml')).toMatchObject({ code: 'BACKEND_REFUSED', params: { detail: expect.stringContaining('backend not found') } });
  }
  const pid = await supervisor.run(runTask(stored, inputs));
  expect(pid.outputs.byteLength).toBeGreaterThan(0);
});
