import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { app } from 'electron';
import type { GpuWindowHost } from '../../core/contract/worker-host.ts';
import { layWindowBait } from '../../core/gpu-window/bait.ts';
import { readPageFiles } from '../../core/gpu-window/page-files.ts';
import { type ProbedPage, tryEveryWay, verdict } from '../../core/gpu-window/probe.ts';
import { loadHiddenPage, openHiddenPage } from './hidden-page.ts';
import { WindowWorker } from './window-worker.ts';

/** GPU windows in this app: hidden windows, each with a session and a renderer of its own in Chromium's sandbox. */
export function electronHost(parts: { folder: string; preload: string }): GpuWindowHost {
  return {
    level: app.commandLine.hasSwitch('no-sandbox') ? 'process' : 'chromium',
    forBench: null,
    start: ({ modelsDir }) => new WindowWorker({ ...parts, modelsDir }),
    async probe() {
      const files = readPageFiles(parts.folder, 'probe.js');
      const folder = await mkdtemp(join(tmpdir(), 'hearthlend-window-probe-'));
      const bait = await layWindowBait(folder);
      try {
        return (await tryEveryWay(() => openProbed(files, parts.preload), bait)).map(verdict);
      } finally {
        await bait.close();
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

async function openProbed(files: ReturnType<typeof readPageFiles>, preload: string): Promise<ProbedPage> {
  const refused: string[] = [];
  const logged: string[] = [];
  const window = openHiddenPage({ files, preload, refused: (what) => refused.push(what) });
  window.webContents.on('console-message', ({ message }) => logged.push(message));
  await loadHiddenPage(window);
  return {
    evaluate: (expression) => window.webContents.executeJavaScript(expression),
    refused,
    logged,
    async close() {
      window.destroy();
    },
  };
}
