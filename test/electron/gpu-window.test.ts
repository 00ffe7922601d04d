import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { type Desktop, endAll, quit, ROOT, runtime, startDesktop, temporaryFolder, until } from './desktop.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });
afterAll(endAll);

interface LogLine {
  event: string;
  code?: string;
  how?: string;
  detail?: string;
  backend?: string;
}

function logged({ dataDir }: Desktop): LogLine[] {
  const lines = readFileSync(join(dataDir, 'agent.log'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as LogLine);
}

test('a hidden window is loaded, handed its port and ONNX Runtime, and says what GPU it has', async () => {
  const dataDir = temporaryFolder();
  writeFileSync(join(dataDir, 'settings.json'), JSON.stringify({ worker: { kind: 'window' } }));
  const desktop = await startDesktop({ dataDir });
  await desktop.announced('ready');
  const word = () =>
    logged(desktop).find(({ event, detail }) => event === 'worker-ready' || (event === 'worker-ended' && detail !== undefined));
  await until(async () => word() !== undefined);
  // Electron itself may find a GPU. The stand-in's Chromium has none, and what has none does not compute here.
  if (runtime.path === undefined)
    expect(word()).toMatchObject({ code: 'WORKER_START_FAILED', detail: 'the browser offers no GPU to a page' });
  else if (word()?.event === 'worker-ended') expect(word()?.detail).toMatch(/no GPU|imitates a GPU/);
  expect(await quit(desktop)).toBe(0);
});

test('a page is given a model’s files and a request’s bytes, is told of when it asks for anything, and is gone when it is killed', async ({
  skip,
}) => {
  skip(runtime.path !== undefined, 'a real page would have to be made to ask');
  const desktop = await startDesktop({ args: ['--hidden'] });
  await desktop.announced('started');
  const modelsDir = temporaryFolder();
  mkdirSync(join(modelsDir, 'm'));
  writeFileSync(join(modelsDir, 'm/model.onnx'), 'onnx');
  // More than a page can hold, and nothing on the disk.
  mkdirSync(join(modelsDir, 'huge'));
  writeFileSync(join(modelsDir, 'huge/model.onnx'), '');
  truncateSync(join(modelsDir, 'huge/model.onnx'), 2 ** 33);
  const told = await desktop.evaluate(
    async (electron, { source, folder, preload, models }) => {
      const { createRequire } = process.getBuiltinModule('node:module');
      const { WindowWorker } = createRequire(source)(source) as typeof import('../../electron/gpu-window/window-worker.ts');
      const heard: string[] = [];
      const worker = new WindowWorker({ folder, preload, modelsDir: models });
      const gone = new Promise<void>((resolve) => {
        worker.listen({
          data: (chunk) => heard.push(`data ${chunk.byteLength}`),
          said: () => undefined,
          failed: (detail) => heard.push(`failed ${detail}`),
          gone: (how) => {
            heard.push(`gone ${how}`);
            resolve();
          },
        });
      });
      worker.send({ type: 'load', model: 'm' } as never, undefined);
      worker.send({ type: 'run' } as never, new Uint8Array(3));
      worker.send({ type: 'load', id: 7, model: 'huge' } as never, undefined);
      const heardOf = async (words: RegExp) => {
        while (!heard.some((each) => words.test(each))) await new Promise((resolve) => setTimeout(resolve, 10));
      };
      await heardOf(/no GPU|imitates/);
      await heardOf(/^data/);
      const window = electron.BrowserWindow.all.at(-1);
      const contents = window?.webContents;
      contents?.emit('will-navigate', { url: 'https://a.example/', preventDefault: () => undefined });
      contents?.emit('will-redirect', { url: 'https://b.example/', preventDefault: () => undefined });
      const opened = contents?.openHandler?.({ url: 'https://c.example/' } as Electron.HandlerDetails);
      // What a page could say that isn't its own any more: whichever port it has.
      for (let port = 1; port <= 8; port += 1) {
        electron.ipcMain.emit(`__port${port}`, {}, { value: 'rubbish' });
        electron.ipcMain.emit(`__port${port}`, {}, { bytes: 'AAAA' });
        const adapter = { vendor: 'google', architecture: 'swiftshader', description: '', software: true };
        electron.ipcMain.emit(`__port${port}`, {}, { value: { kind: 'adapter', adapter } });
      }
      const usage = worker.usage();
      worker.kill();
      await gone;
      worker.kill();
      return { heard, opened, usage };
    },
    {
      source: join(ROOT, 'electron/gpu-window/window-worker.ts'),
      folder: join(ROOT, 'dist/gpu-window'),
      preload: join(ROOT, 'dist/electron/gpu-window-preload.cjs'),
      models: modelsDir,
    },
  );
  const attempts = await desktop.evaluate(
    ({ app: _app }, { source, folder, preload }) => {
      const { createRequire } = process.getBuiltinModule('node:module');
      const { electronHost } = createRequire(source)(source) as typeof import('../../electron/gpu-window/host.ts');
      return electronHost({ folder, preload }).probe();
    },
    {
      source: join(ROOT, 'electron/gpu-window/host.ts'),
      folder: join(ROOT, 'dist/gpu-window'),
      preload: join(ROOT, 'dist/electron/gpu-window-preload.cjs'),
    },
  );
  // The stand-in's Chromium knows nothing of Electron's sessions: what is shown here is that every way is tried, and told of.
  expect(attempts.length).toBeGreaterThan(20);
  expect(told.usage).toBeNull();
  expect(told.opened).toEqual({ action: 'deny' });
  expect(told.heard).toEqual(
    expect.arrayContaining([
      expect.stringContaining('https://a.example/'),
      expect.stringContaining('https://b.example/'),
      expect.stringContaining('another window: https://c.example/'),
      expect.stringMatching(/^failed what the page said is not understood: /),
      'data 3',
      'failed the browser imitates a GPU on the CPU',
      'failed the page is gone: crashed',
      'gone its window is closed',
    ]),
  );
  expect(await quit(desktop)).toBe(0);
});
