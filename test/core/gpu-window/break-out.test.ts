import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { layWindowBait } from '../../../core/gpu-window/bait.ts';
import { Browser } from '../../../core/gpu-window/browser.ts';
import { type ProbedPage, probeWindow, tryEveryWay } from '../../../core/gpu-window/probe.ts';
import { type ProcessFacts, processGroup, sandboxState } from '../../../core/gpu-window/sandbox-state.ts';
import { windowWorkers } from '../../../core/gpu-window/window-worker.ts';
import { WorkerProcess } from '../../../core/supervisor/worker-process.ts';
import { modelCases } from '../../fixtures/onnx-models.ts';
import { ordinaryUser } from './workbench.ts';

const options = ordinaryUser();
/** So that there is a camera to be refused. */
const FAKE_CAMERA = '--use-fake-device-for-media-stream';

/**
 * Ways that a bare browser without a window denies, too: there is nobody to choose, no such device, or no such thing in this browser. They are
 * tried all the same, and not counted.
 */
const DENIED_ANYWAY = new Set([
  ...['manifest', 'preconnect', 'form-to-new-window', 'local-file', 'local-file-frame'],
  ...['screen-capture', 'usb', 'serial', 'bluetooth', 'midi', 'local-fonts', 'pointer-lock', 'full-screen'],
  ...['open-file-picker', 'save-file-picker', 'folder-picker'],
]);
/** All that a browser is told for the walls' sake. */
const NEEDED =
  /^--(headless|remote-debugging-pipe|user-data-dir=.*|no-startup-window|no-first-run|use-fake-device-for-media-stream)$|^[^-]/;

/** The same probe, with nothing of ours around it: an ordinary page of an ordinary server, whose user presses and allows whatever is asked. */
async function probeWithoutWalls() {
  const workDir = mkdtempSync(join(tmpdir(), 'hearthlend-no-walls-'));
  onTestFinished(() => rmSync(workDir, { recursive: true, force: true }));
  mkdirSync(join(workDir, 'bait'));
  const file = (name: string, type: string) => ({ type, body: readFileSync(join(options.folder, name)) });
  const bait = await layWindowBait(
    join(workDir, 'bait'),
    new Map([
      ['/', file('index.html', 'text/html')],
      ['/page.js', file('probe.js', 'text/javascript')],
      ['/service-worker.js', { type: 'text/javascript', body: Buffer.from('') }],
    ]),
  );
  const gone = Promise.withResolvers<void>();
  const browser = new Browser(
    {
      ...options,
      profileDir: join(workDir, 'browser'),
      extraFlags: [FAKE_CAMERA],
      spawn: (command, args, more) =>
        options.spawn(
          command,
          args.filter((arg) => NEEDED.test(arg)),
          more,
        ),
    },
    { event: () => undefined, said: () => undefined, failed: () => undefined, gone: () => gone.resolve() },
  );
  const permissions = [
    'geolocation',
    'notifications',
    'clipboardReadWrite',
    'clipboardSanitizedWrite',
    'midi',
    'audioCapture',
    'videoCapture',
    'idleDetection',
    'localFonts',
    'wakeLockScreen',
  ];
  const open = async (): Promise<ProbedPage> => {
    const { browserContextId } = await browser.pipe.send('Target.createBrowserContext', { disposeOnDetach: true });
    await browser.pipe.send('Browser.grantPermissions', { browserContextId, permissions });
    const { targetId } = await browser.pipe.send('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await browser.pipe.send('Target.attachToTarget', { targetId, flatten: true });
    const ask = (method: string, params = {}) => browser.pipe.send(method, params, sessionId as string);
    await ask('Emulation.setFocusEmulationEnabled', { enabled: true });
    await ask('Emulation.setGeolocationOverride', { latitude: 1, longitude: 1, accuracy: 1 });
    await ask('Page.navigate', { url: `${bait.server}/` });
    const evaluate = async (expression: string) => {
      const { result } = await ask('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true, userGesture: true });
      return (result as { value?: unknown }).value;
    };
    while ((await evaluate('"hearthlendWays" in globalThis')) !== true) await delay(10);
    return {
      evaluate,
      refused: [],
      logged: [],
      close: async () => void (await browser.pipe.send('Target.disposeBrowserContext', { browserContextId })),
    };
  };
  try {
    return await tryEveryWay(open, bait, { patience: 6, waitMs: (name) => (DENIED_ANYWAY.has(name) ? 0 : 10_000) });
  } finally {
    browser.kill();
    await gone.promise;
    await bait.close();
  }
}

test('every way out of the page is closed, by a wall that has a name; with none of ours in place each of them leads out', async (context) => {
  context.skip(process.platform !== 'linux', 'an ordinary user is made with setpriv');
  const [walled, bare] = await Promise.all([probeWindow({ ...options, extraFlags: [FAKE_CAMERA] }), probeWithoutWalls()]);
  expect(walled.filter(({ succeeded }) => succeeded)).toEqual([]);
  // What a browser has not got, or keeps to itself, is no wall of ours.
  const byBrowser = walled.filter(({ wall }) => wall === undefined || wall === 'browser').map(({ name }) => name);
  expect(byBrowser.filter((name) => !DENIED_ANYWAY.has(name))).toEqual([]);
  expect(walled.map(({ name }) => name)).toEqual(bare.map(({ way }) => way.name));
  const out = bare.filter(({ visited, attempt }) => visited || attempt.reached !== null).map(({ way }) => way.name);
  const unexpected = bare.filter(({ way: { name } }) => !out.includes(name) && !DENIED_ANYWAY.has(name));
  expect(unexpected.map(({ way, attempt }) => `${way.name}: ${attempt.refusal}`)).toEqual([]);
  expect(out.length).toBeGreaterThanOrEqual(60);
}, 120_000);

test("as an ordinary user's, the page stands in Chromium's own sandbox, and computes there", async (context) => {
  context.skip(process.platform !== 'linux', 'an ordinary user is made with setpriv');
  const workDir = mkdtempSync(join(tmpdir(), 'hearthlend-window-'));
  onTestFinished(() => rmSync(workDir, { recursive: true, force: true }));
  const model = 'a'.repeat(64);
  const [stored] = modelCases();
  for (const [path, bytes] of Object.entries(stored?.files ?? {})) {
    mkdirSync(join(workDir, 'models', model), { recursive: true });
    writeFileSync(join(workDir, 'models', model, path), bytes);
  }
  const worker = new WorkerProcess(windowWorkers(options), join(workDir, 'models'));
  onTestFinished(() => worker.kill(new HearthlendError('WORKER_STOPPED')));
  await worker.ready;
  const { pages, confined } = sandboxState(processGroup(worker.pid as number) as ProcessFacts[]);
  expect(pages).toBeGreaterThan(0);
  expect(confined).toBe(pages);
  const loaded = {
    model,
    session: { intraOpThreads: 1, graphOptimization: 'all' as const },
    provider: { name: 'webgpu' as const, deviceId: 0 },
  };
  await worker.request<'load'>({ ...loaded, type: 'load', id: 1, entry: 'model.onnx', strict: false });
  const inputs = encodeSafetensors(stored?.inputs ?? new Map());
  const { body } = await worker.request<'run'>({ ...loaded, type: 'run', id: 2, outputs: [], outputBytes: 2 ** 24 }, inputs);
  expect(decodeSafetensors(body).size).toBeGreaterThan(0);
}, 60_000);

test.each([
  ['a page with a filter and process ids of its own', '4211\t14\t1', 2, { pages: 1, confined: 1, gpuFiltered: null }],
  ['a page without a filter', '4211\t14\t1', 0, { pages: 1, confined: 0, gpuFiltered: null }],
  ["a page among the machine's processes", '4211', 2, { pages: 1, confined: 0, gpuFiltered: null }],
])('the kernel shows %s', (_what, ids, mode, state) => {
  const status = `Name:\tchromium\nNSpid:\t${ids}\nSeccomp:\t${mode}\n`;
  expect(sandboxState([{ command: '/usr/lib/chromium/chromium\0--type=renderer\0', status }])).toEqual(state);
});
