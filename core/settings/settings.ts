import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { HearthlendError } from '../contract/errors.ts';
import { Settings } from '../contract/settings.ts';
import { storageError } from '../contract/storage-error.ts';

const MAX_FILE_BYTES = 1 << 20;

/**
 * The settings in the file, with defaults for what it leaves out; all defaults where there is no file.
 * @throws SETTINGS_INVALID naming the field that is wrong
 */
export function loadSettings(path: string): Settings {
  const invalid = (detail: string, cause?: unknown) => new HearthlendError('SETTINGS_INVALID', { path, detail }, { cause });
  let content: unknown = {};
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined && found.size > MAX_FILE_BYTES) throw invalid(`it is over ${MAX_FILE_BYTES} bytes`);
    if (found !== undefined) content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (thrown) {
    throw thrown instanceof HearthlendError ? thrown : invalid((thrown as Error).message, thrown);
  }
  return checked(content, invalid);
}

/** Replaces the file as a whole: after a power cut it holds the old settings or the new. @throws SETTINGS_INVALID, DISK_FULL, DATA_DIR_UNWRITABLE */
export function saveSettings(path: string, settings: Settings): void {
  const right = checked(settings, (detail) => new HearthlendError('SETTINGS_INVALID', { path, detail }));
  const partial = `${path}.partial`;
  try {
    const file = openSync(partial, 'w', 0o600);
    try {
      writeFileSync(file, `${JSON.stringify(right, null, 2)}\n`);
      fsyncSync(file);
    } catch (thrown) {
      rmSync(partial, { force: true });
      throw thrown;
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
  } catch (thrown) {
    throw storageError(path, thrown);
  }
}

function checked(content: unknown, invalid: (detail: string) => HearthlendError): Settings {
  const settings = Settings.safeParse(content);
  if (settings.success) return settings.data;
  const { path, message } = settings.error.issues[0] ?? { path: [], message: '' };
  throw invalid(path.length === 0 ? message : `${path.join('.')}: ${message}`);
}
