import { expect, test } from 'vitest';
import { type ProofTarget, proveBackend } from '../../../core/backends/prove.ts';
import { ACROSS_BACKENDS, CPU } from '../../../core/contract/backends.ts';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { messageOf } from '../../../core/contract/messages.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { nativeWorkers } from '../../../core/supervisor/native-process.ts';
import { planLaunch } from '../../../core/supervisor/sandbox/plan.ts';
import { tryKernel } from '../../../core/supervisor/try-kernel.ts';
import { findSwiftShader, withoutSwiftShader } from '../supervisor/sandbox/gpu/software.ts';
import { float32, hostile, needs, sandboxed, temporaryFolder, wall } from '../supervisor/workbench.ts';

const WEBGPU = { name: 'webgpu', deviceId: 0 } as const;
/** SwiftShader computes on the CPU, which other tests need as well. */
const BUSY_MS = 60_000;
const target = (changes: Partial<ProofTarget> = {}): ProofTarget => ({
  provider: WEBGPU,
  vendor: 'AMD',
  platform: 'linux',
  software: false,
  now: 1_700_000_000_000,
  ...changes,
});
type Launcher = Parameters<typeof nativeWorkers>[0];
const attempt =
  (launch: Launcher, limitMs?: number): Parameters<typeof proveBackend>[1] =>
  (request) =>
    tryKernel({ ...request, limitMs: limitMs ?? request.limitMs, start: nativeWorkers(launch), workDir: temporaryFolder() });
const floats = (...values: number[]) => encodeSafetensors(new Map([['y', float32([values.length], values)]]));
const answering = (answer: Uint8Array, cpuAnswer: Uint8Array) => async () => ({
  ok: true as const,
  answer,
  cpuAnswer,
  firstMs: 900,
  runMs: 2,
});

test('SwiftShader computes the kernel as the CPU does, and is no GPU for that', async (ctx) => {
  const why = withoutSwiftShader() ?? (wall.wall === 'bubblewrap' ? undefined : 'there is no bubblewrap that works here');
  if (why !== undefined) ctx.skip(why);
  const plan = await findSwiftShader();
  if (!plan.ok) throw new Error(plan.reason.key);
  const launch: Launcher = ({ modelsDir }) => planLaunch(wall, { ...needs, modelsDir, device: plan.access });
  const backend = await proveBackend(target({ software: true }), attempt(launch, BUSY_MS));
  expect(backend).toMatchObject({ name: 'webgpu', works: true, software: true, reason: null });
  expect(backend.difference).toBeGreaterThan(0);
  expect(backend.difference).toBeLessThan(ACROSS_BACKENDS);
});

test('the CPU proves itself, and a sandbox without a GPU in it says what WebGPU lacks', async () => {
  expect(await proveBackend(target({ provider: CPU, vendor: null }), attempt(sandboxed))).toMatchObject({ works: true, difference: 0 });
  const none = await proveBackend(target(), attempt(sandboxed));
  expect(none).toMatchObject({ works: false, difference: null, testedAt: 1_700_000_000_000 });
  if (process.platform === 'linux') expect(none.reason?.key).toBe('backend.no-vulkan-loader');
});

test('a driver that crashes or hangs is a result, and its process is gone', async () => {
  const crashed = await proveBackend(target(), attempt(hostile('crashes')));
  expect(crashed.works).toBe(false);
  expect(messageOf(crashed.reason as never)).toMatch(/^WebGPU crashed: signal SIG/);
  const late = await proveBackend(target(), attempt(hostile('hangs'), 300));
  expect(late).toMatchObject({ works: false, reason: { key: 'backend.late' }, remedy: { key: 'backend.mesa.remedy' } });
});

test('an answer counts within 2e-3 of the CPU, and no further; one that is no number never', async () => {
  const prove = (answer: Uint8Array) => proveBackend(target(), answering(answer, floats(1, 2, 2)));
  expect(await prove(floats(1.004, 2, 2))).toMatchObject({ works: true });
  expect(await prove(floats(1.007, 2, 2))).toMatchObject({ works: false, reason: { key: 'backend.wrong' } });
  expect(await prove(floats(Number.NaN, 2, 2))).toMatchObject({ works: false, difference: null });
  expect(await prove(floats(1, 2))).toMatchObject({ works: false, difference: null });
});

test('what the libraries said on stderr counts where the error itself says little', async () => {
  const error = new HearthlendError('BACKEND_REFUSED', { backend: 'cuda', detail: 'Failed to load shared library' });
  const said = 'Failed to load library libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file';
  const backend = await proveBackend(target({ provider: { name: 'cuda', deviceId: 0 } }), async () => ({ ok: false, error, said }));
  expect(backend.remedy?.key).toBe('backend.cuda-libraries.remedy');
});
