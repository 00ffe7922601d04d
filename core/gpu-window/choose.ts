import type { IsolationLevel } from '../contract/isolation.ts';
import type { WorkerKind } from '../contract/settings.ts';

/** What decides where shards are computed. */
export interface WorkerSituation {
  setting: WorkerKind;
  platform: NodeJS.Platform;
  /** Levels that the user accepts for strangers' work. */
  accepted: readonly IsolationLevel[];
  /** Under what the native worker runs here. */
  native: IsolationLevel;
  /** Under what a page would, and whether it found a GPU: null while none was started. Null as a whole where nothing can host a page. */
  window: { level: IsolationLevel; works: boolean | null } | null;
}

/**
 * Whether the native worker computes or the GPU window. What the user set, where it can be. By itself: on Windows, where no sandbox stands around
 * a native worker, the window, unless it was tried and found no GPU; elsewhere the native worker, unless its level is not accepted and the
 * window's is and works.
 */
export function chooseWorker({ setting, platform, accepted, native, window }: WorkerSituation): 'native' | 'window' {
  if (window === null || setting === 'native') return 'native';
  if (setting === 'window') return 'window';
  if (platform === 'win32') return window.works === false ? 'native' : 'window';
  return !accepted.includes(native) && accepted.includes(window.level) && window.works === true ? 'window' : 'native';
}
