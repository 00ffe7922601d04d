import { accessSync, constants, mkdirSync, statSync } from 'node:fs';
import { posix, win32 } from 'node:path';
import { HearthlendError } from '../contract/errors.ts';
import { storageError } from '../contract/storage-error.ts';

export interface DataDirQuestion {
  /** What `--data-dir` said. */
  option: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
  home: string;
}

/**
 * The data folder: `--data-dir`, else HEARTHLEND_HOME (both as they were given), else the platform's convention: XDG_DATA_HOME,
 * Library/Application Support, LOCALAPPDATA. Source: XDG Base Directory Specification 0.8 (which ignores relative paths).
 */
export function dataDirPath({ option, env, platform, home }: DataDirQuestion): string {
  const path = platform === 'win32' ? win32 : posix;
  const named = option || env.HEARTHLEND_HOME;
  if (named) return named;
  if (platform === 'win32') return path.join(env.LOCALAPPDATA || path.join(home, 'AppData', 'Local'), 'Hearthlend');
  if (platform === 'darwin') return path.join(home, 'Library', 'Application Support', 'Hearthlend');
  const data = env.XDG_DATA_HOME;
  return path.join(data && path.isAbsolute(data) ? data : path.join(home, '.local', 'share'), 'hearthlend');
}

/**
 * Makes the data folder (0700), or checks the one there: a folder of ours that nobody else may write to. Root may use anyone's, as in a
 * container with a folder of the host. @throws DATA_DIR_UNWRITABLE, DISK_FULL
 */
export function openDataDir(folder: string): void {
  const unwritable = (detail: string) => new HearthlendError('DATA_DIR_UNWRITABLE', { path: folder, detail });
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    const { uid, mode } = statSync(folder);
    const self = process.getuid?.();
    if (self === undefined) return;
    if (uid !== self && self !== 0) throw unwritable(`it belongs to user ${uid}`);
    if ((mode & 0o022) !== 0) throw unwritable(`others may write to it (mode ${(mode & 0o777).toString(8)}); run chmod go-w on it`);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') throw unwritable('it is no folder');
    throw storageError(folder, thrown);
  }
}
