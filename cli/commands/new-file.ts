import { writeFileSync } from 'node:fs';
import { HearthlendError } from '../../core/contract/errors.ts';

/** Writes a file for its owner alone, in nobody else's place. @throws FILE_EXISTS, FILE_UNWRITABLE */
export function writeNewFile(path: string, content: string | Uint8Array): void {
  try {
    writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
  } catch (thrown) {
    const { code, message: detail } = thrown as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw new HearthlendError('FILE_EXISTS', { path }, { cause: thrown });
    throw new HearthlendError('FILE_UNWRITABLE', { path, detail }, { cause: thrown });
  }
}
