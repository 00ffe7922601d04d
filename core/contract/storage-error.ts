import { asHearthlendError, HearthlendError } from './errors.ts';

/** Where SQLite can't enlarge the file that its connections share, which readers need as well, it speaks of an I/O error. */
const FULL = new Set(['ENOSPC', 'EDQUOT', 'SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE']);
const UNWRITABLE = new Set(['EROFS', 'EACCES', 'EPERM', 'ENOENT', 'ENOTDIR']);

/**
 * What a failed file or SQLite operation on `path` means to a person: DISK_FULL, DATA_DIR_UNWRITABLE, DATABASE_CORRUPT or DATABASE_UNAVAILABLE
 * by the error's `code` (errno's names, SQLite's extended result codes); HearthlendErrors pass through, anything else is INTERNAL.
 */
export function storageError(path: string, thrown: unknown): HearthlendError {
  if (thrown instanceof HearthlendError || !(thrown instanceof Error) || !('code' in thrown)) return asHearthlendError(thrown);
  const code = String(thrown.code);
  const params = { path, detail: thrown.message };
  if (FULL.has(code)) return new HearthlendError('DISK_FULL', { path }, { cause: thrown });
  if (UNWRITABLE.has(code) || code.startsWith('SQLITE_READONLY')) {
    return new HearthlendError('DATA_DIR_UNWRITABLE', params, { cause: thrown });
  }
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return new HearthlendError('DATABASE_CORRUPT', params, { cause: thrown });
  }
  if (/^SQLITE_(CANTOPEN|BUSY|LOCKED|IOERR|PERM|AUTH|PROTOCOL)/.test(code)) {
    return new HearthlendError('DATABASE_UNAVAILABLE', params, { cause: thrown });
  }
  return asHearthlendError(thrown);
}
