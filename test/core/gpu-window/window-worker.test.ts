import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { WindowOptions } from '../../../core/gpu-window/window-worker.ts';
import { slowModel, slowTurns } from '../../fixtures/onnx-models.ts';
import { failure, float32, runTask, storeModel, temporaryFolder } from '../supervisor/workbench.ts';
import { onGpu, processesWith, superviseWindow, windowOptions } from './workbench.ts';

/** The page's folder with another script in it: `serve` is what it does once it has its port. */
function pageThat(serve: string): Pick<WindowOptions, 'folder'> {
  const folder = join(temporaryFolder(), 'gpu-window');
  mkdirSync(folder);
  for (const name of ['index.html', 'bridge.js', 'onnxruntime.wasm']) copyFileSync(join(windowOptions.folder, name), join(folder, name));
  writeFileSync(join(folder, 'page.js'), `addEventListener('message', ({ ports: [port] }) => { if (port) (${serve})(port); });`);
  return { folder };
}

const anything = () => runTask(storeModel({ 'model.onnx': new Uint8Array(8) }), new Map([['x', float32([1], [1])]]));

test('cancelling kills the browser with all its processes in the middle of a run, and its profile goes with it', async () => {
  const window = superviseWindow();
  const task = runTask(storeModel(slowModel()), slowTurns(2_000_000_000), { wallMs: 60_000 });
  await window.run(onGpu(runTask(task.model, slowTurns(3), { wallMs: 60_000 })));
  expect(processesWith(window.workDir).length).toBeGreaterThan(3);
  const cancelled = new AbortController();
  const failed = failure(window.run(onGpu(task), { signal: cancelled.signal }));
  // Busy begins before the page has the task: what shows that it computes is that it takes time.
  await expect.poll(() => window.load() ?? 0, { timeout: 30_000, interval: 100 }).toBeGreaterThan(0);
  cancelled.abort();
  expect(await failed).toMatchObject({ code: 'CANCELLED' });
  expect(processesWith(window.workDir)).toEqual([]);
  expect(existsSync(join(window.workDir, 'browser'))).toBe(false);
});

test('a shard that runs longer than its limit is stopped there, and the next one gets a new browser', async () => {
  const window = superviseWindow();
  const stored = storeModel(slowModel());
  expect(await failure(window.run(onGpu(runTask(stored, slowTurns(2_000_000_000), { wallMs: 1_500 }))))).toMatchObject({
    code: 'WORKER_TIMEOUT',
  });
  expect((await window.run(onGpu(runTask(stored, slowTurns(3), { wallMs: 60_000 })))).outputs.byteLength).toBeGreaterThan(0);
});

test('a browser that imitates a GPU on the CPU, or offers none, is refused where only a GPU will do', async () => {
  expect(await failure(superviseWindow({ allowSoftware: false }).run(anything()))).toMatchObject({
    code: 'WORKER_START_FAILED',
    params: { detail: expect.stringContaining('imitates a GPU') },
  });
  expect(await failure(superviseWindow({ allowSoftware: false, extraFlags: ['--disable-gpu'] }).run(anything()))).toMatchObject({
    code: 'WORKER_START_FAILED',
    params: { detail: expect.stringContaining('GPU') },
  });
});

test.each([
  ['goes to another address', `() => { location.href = 'http://127.0.0.1:9/?secret'; }`, 'it asked for http://127.0.0.1:9/?secret'],
  ['says what is no word of a page', `(port) => port.postMessage({ kind: 'money' })`, 'is not understood'],
])('a page that %s is killed', async (_what, serve, detail) => {
  const window = superviseWindow(pageThat(serve));
  const failed = await failure(window.run(anything()));
  expect(failed).toMatchObject({ code: 'WORKER_START_FAILED', params: { detail: expect.stringContaining(detail) } });
  expect(processesWith(window.workDir)).toEqual([]);
});

test('a page that crashes is a worker that crashed, and the next shard gets a new browser', async () => {
  const window = superviseWindow();
  const task = onGpu(runTask(storeModel(slowModel()), slowTurns(3), { wallMs: 60_000 }));
  await window.run(task);
  const running = failure(window.run({ ...onGpu(runTask(task.model, slowTurns(2_000_000_000))), threads: 1 }));
  for (const line of processesWith(window.workDir))
    if (line.includes('--type=renderer')) process.kill(Number.parseInt(line, 10), 'SIGKILL');
  expect(await running).toMatchObject({ code: 'WORKER_CRASHED', params: { how: 'the page crashed' } });
  expect((await window.run(task)).outputs.byteLength).toBeGreaterThan(0);
});

test('a page whose frames are none is killed for what it sent', async () => {
  const window = superviseWindow(pageThat('(port) => port.postMessage(new Uint8Array(64).fill(255))'));
  expect(await failure(window.run(anything()))).toMatchObject({ code: 'WORKER_PROTOCOL' });
});

test('a browser that is not there is a worker that does not start', async () => {
  expect(await failure(superviseWindow({ browserPath: '/nowhere/chromium' }).run(anything()))).toMatchObject({
    code: 'WORKER_START_FAILED',
  });
});
