import type { GpuWindowHost, Usage } from '../contract/worker-host.ts';
import { gpuFlags, windowLevel } from './flags.ts';
import { probeWindow } from './probe.ts';
import { windowWorkers } from './window-worker.ts';

interface HeadlessParts {
  /** An installed browser of Chromium's family. */
  browserPath: string;
  /** dist/gpu-window. */
  folder: string;
  platform: NodeJS.Platform;
  /** User id; undefined on Windows. */
  uid: number | undefined;
  usage(pid: number): Usage | null;
}

/** GPU windows without a window: pages of an installed browser that is driven over a pipe, each with a browser of its own. */
export function headlessHost({ browserPath, folder, platform, uid, usage }: HeadlessParts): GpuWindowHost {
  const level = windowLevel(uid);
  const options = { browserPath, folder, sandbox: level === 'chromium', extraFlags: gpuFlags(platform) };
  return {
    level,
    start: windowWorkers({ ...options, allowSoftware: false, usage }),
    forBench: options.sandbox
      ? {
          walled: windowWorkers({ ...options, allowSoftware: true, usage }),
          bare: windowWorkers({ ...options, sandbox: false, allowSoftware: true, usage }),
        }
      : null,
    probe: () => probeWindow(options),
  };
}
