import { posix, win32 } from 'node:path';
import type { AppPorts } from '../../core/app-ports.ts';

/** Where this program lies. */
export interface Place {
  /** Whether it is a built app, rather than a checkout that Electron runs. */
  packaged: boolean;
  /** Folder or archive with package.json: Electron's `app.getAppPath()`. */
  appPath: string;
  /** Electron's `process.resourcesPath`. */
  resourcesPath: string;
  platform: NodeJS.Platform;
}

/**
 * Where the parts are that the agent starts or reads. The worker runs on a real Node: the one shipped under resources in a built app, the one
 * of the package `node` in a checkout; Electron's own binary is none. A plain Node can't look into the app's archive, so what it reads lies beside it.
 */
export function partsOf({ packaged, appPath, resourcesPath, platform }: Place): AppPorts['parts'] {
  const { join } = platform === 'win32' ? win32 : posix;
  const binary = platform === 'win32' ? 'node.exe' : 'node';
  const root = packaged ? appPath.replace(/app\.asar$/, 'app.asar.unpacked') : appPath;
  return {
    nodePath: packaged ? join(resourcesPath, 'node', binary) : join(appPath, 'node_modules', 'node', 'bin', binary),
    workerScript: join(root, 'dist', 'worker', 'native.mjs'),
    probeScript: join(root, 'dist', 'worker', 'probe.mjs'),
    signerScript: join(root, 'dist', 'wallet', 'signer.mjs'),
    practiceModel: join(root, 'resources', 'models', 'wordnet-lm'),
    watchers: join(root, 'resources', 'signals'),
  };
}
