import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Decision } from '../../core/contract/policy.ts';
import { Settings } from '../../core/contract/settings.ts';
import type { GpuWindowHost } from '../../core/contract/worker-host.ts';
import { type WindowOptions, windowWorkers } from '../../core/gpu-window/window-worker.ts';
import { createVet } from '../../core/models/vetting/vet.ts';
import { createSupervisor } from '../../core/supervisor/supervisor.ts';
import { openWindowWorker } from '../../core/window-worker.ts';
import { slowModel, slowTurns } from '../fixtures/onnx-models.ts';
import { windowOptions } from './gpu-window/workbench.ts';
import { failure, runTask, storeModel, temporaryFolder } from './supervisor/workbench.ts';

function open(kind: Settings['worker']['kind'], options: Partial<WindowOptions> = {}, level: GpuWindowHost['level'] = 'chromium') {
  const dir = temporaryFolder();
  const settings = { current: Settings.parse({ worker: { kind } }) };
  const probes: string[] = [];
  const host: GpuWindowHost = {
    level,
    forBench: null,
    start: windowWorkers({ ...windowOptions, ...options }),
    async probe() {
      probes.push('probed');
      return [{ name: 'fetch', kind: 'network', succeeded: probes.length > 1, detail: '' }];
    },
  };
  const window = openWindowWorker({
    ports: { gpuWindow: () => host, clock: Date.now, log: () => undefined },
    platform: 'win32',
    settings,
    native: 'process',
    supervise: (name, start) =>
      createSupervisor({ workDir: join(dir, name), start, modelMemoryBytes: 2 ** 30, vet: createVet(), clock: Date.now }),
    onlyGpu: () => null,
    onChange: () => undefined,
  });
  onTestFinished(() => window.close());
  return { window, settings };
}

const turns = (count: number) => runTask(storeModel(slowModel()), slowTurns(count), { wallMs: 60_000 });
const byNative = { outputs: new Uint8Array(0), backend: 'cpu', gpu: null } as never;

test('the window computes while it is chosen, gives way to what the rules want the GPU for, and is closed where the settings say so', async () => {
  const { window, settings } = open('window');
  expect(window.chosen()).toBe(true);
  expect(await window.compute(turns(3), {}, async () => byNative)).toMatchObject({ backend: 'webgpu', gpu: null });
  expect(window.supervisor()?.running()).toBe(true);
  await window.govern([{ act: 'pause', duty: 0 } as Decision, { act: 'run', duty: 1 } as Decision]);
  expect([window.chosen(), window.supervisor()?.running()]).toEqual([false, false]);
  // To be measured, another one may be opened meanwhile.
  const spare = window.spare()?.open();
  expect(await spare?.run({ ...turns(1), provider: { name: 'webgpu', deviceId: 0 } })).toMatchObject({ tokensMade: 0 });
  await spare?.dispose();
  await window.govern([{ act: 'run', duty: 1 } as Decision]);
  expect(window.chosen()).toBe(true);
  settings.current = Settings.parse({ worker: { kind: 'native' } });
  await window.choose();
  expect([window.chosen(), window.spare()]).toEqual([false, null]);
});

test("where it was not set but chosen, the native worker takes over what a window without a GPU can not, but no stranger's work", async () => {
  const { window } = open('auto', { allowSoftware: false });
  const task = turns(3);
  const stranger = { ...task, shard: { ...task.shard, origin: 'network' as const } };
  expect(await failure(window.compute(stranger, {}, async () => byNative))).toMatchObject({ code: 'WORKER_START_FAILED' });
  // It was seen not to work, so that it is not chosen any more.
  expect(window.chosen()).toBe(false);
  expect(await window.compute(task, {}, async () => byNative)).toBe(byNative);
});

test('its isolation is its own: what the probe found, and less where something broke out or root started the browser', async () => {
  const { window } = open('window');
  expect(window.isolation()).toMatchObject({ level: 'chromium', wall: 'chromium', probe: null });
  expect(await window.probe()).toMatchObject({ level: 'chromium', reason: null, probe: { attempts: [{ name: 'fetch' }] } });
  expect(await window.probe()).toMatchObject({ level: 'process', reason: { key: 'isolation.probe-broken' } });
  expect(window.isolation()).toMatchObject({ level: 'process' });
  const asRoot = open('window', {}, 'process');
  expect(asRoot.window.isolation()).toMatchObject({ level: 'process', wall: 'none', reason: { key: 'isolation.browser-as-root' } });
});
