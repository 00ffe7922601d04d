import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';
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

const NOBODY = 65_534;

/** The same, but started by an ordinary user, so that the browser keeps its own sandbox. Such a user may not be able to reach the checkout. */
export function ordinaryUser(): WindowOptions & Required<Pick<WindowOptions, 'spawn'>> {
  const isRoot = process.getuid?.() === 0;
  const copy = mkdtempSync(join(tmpdir(), 'hearthlend-gpu-window-'));
  afterAll(() => rmSync(copy, { recursive: true, force: true }));
  chmodSync(copy, 0o755);
  cpSync(windowOptions.folder, copy, { recursive: true });
  return {
    ...windowOptions,
    folder: copy,
    sandbox: true,
    spawn(command, args, { env }) {
      const profile = args.find((arg) => arg.startsWith('--user-data-dir='))?.split('=')[1] as string;
      if (isRoot) {
        chmodSync(dirname(profile), 0o755);
        chownSync(profile, NOBODY, NOBODY);
      }
      const who = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'] : ['env'];
      const [first, ...more] = [...who, command, ...args] as [string, ...string[]];
      return spawn(first, more, { env, cwd: '/', stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'], detached: true });
    },
  };
}
