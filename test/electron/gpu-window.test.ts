import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { type Desktop, endAll, quit, ROOT, runtime, startDesktop, temporaryFolder, until } from './desktop.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });
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
      const heardOf = async (words: RegExp) => {
        while (!heard.some((each) => words.test(each))) await new Promise((resolve) => setImmediate(resolve));
      };
      await heardOf(/no GPU|imitates/);
      const window = electron.BrowserWindow.all.at(-1);
      const contents = window?.webContents;
      contents?.emit('will-navigate', { url: 'https://a.example/', preventDefault: () => undefined });
      contents?.emit('will-redirect', { url: 'https://b.example/', preventDefault: () => undefined });
      const opened = contents?.openHandler?.({ url: 'https://c.example/' } as Electron.HandlerDetails);
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
  expect(told.usage).toBeNull();
  expect(told.opened).toEqual({ action: 'deny' });
  expect(told.heard).toEqual(
    expect.arrayContaining([
      expect.stringContaining('https://a.example/'),
      expect.stringContaining('https://b.example/'),
      expect.stringContaining('another window: https://c.example/'),
      'failed the page is gone: crashed',
      'gone its window is closed',
    ]),
  );
  expect(await quit(desktop)).toBe(0);
});
