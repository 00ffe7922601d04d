import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Provider } from '../../../core/contract/backends.ts';
import { type WindowOptions, windowWorkers } from '../../../core/gpu-window/window-worker.ts';
import { treeUsage } from '../../../core/supervisor/process-usage.ts';
import type { ShardTask } from '../../../core/supervisor/supervisor.ts';
import { type Bench, root, supervise } from '../supervisor/workbench.ts';

const browserPath = process.env.CHROME_PATH ?? '/usr/bin/chromium';
const WEBGPU: Provider = { name: 'webgpu', deviceId: 0 };
/** SwiftShader in place of a GPU: the real code path, about a thousand times slower than the CPU. */
const IMITATED_GPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/** As on a machine without a GPU; as root without Chromium's own sandbox, which root may not have. */
export const windowOptions: WindowOptions = {
  browserPath,
  folder: join(root, 'dist/gpu-window'),
  sandbox: process.getuid?.() !== 0,
  allowSoftware: true,
  extraFlags: IMITATED_GPU,
  usage: treeUsage,
};

/** A supervisor whose worker is a page. */
export function superviseWindow(options: Partial<WindowOptions> = {}): Bench {
  return supervise({ start: windowWorkers({ ...windowOptions, ...options }) });
}

/** The same shard, on the GPU. */
export function onGpu(task: ShardTask): ShardTask {
  return { ...task, provider: WEBGPU };
}

/** Processes that have this folder in their command line. */
export function processesWith(folder: string): string[] {
  return execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(folder));
}
