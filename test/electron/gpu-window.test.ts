import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { type Desktop, endAll, runtime, startDesktop, temporaryFolder, until } from './desktop.ts';

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
});
