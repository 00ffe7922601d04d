import { createHash } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HearthlendError } from '../contract/errors.ts';

const NAME = /^open-[0-9a-f]{32}\.html$/;

/**
 * Where the page lies that sends a browser on to `url` with its code. The browser is started on this file because every local user can read
 * a program's arguments; the name is made from the code's digest, so that the agent finds it again without being told.
 */
export function launchFilePath(dataDir: string, code: string): string {
  return join(dataDir, `open-${createHash('sha256').update(code).digest('hex').slice(0, 32)}.html`);
}

/** Writes that page, for its owner only. @throws FILE_UNWRITABLE */
export async function writeLaunchFile(dataDir: string, url: string, code: string): Promise<string> {
  const path = launchFilePath(dataDir, code);
  const page = `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0; url=${url}"><title>Hearthlend</title>\n`;
  await writeFile(path, page, { mode: 0o600, flag: 'wx' }).catch((cause: Error) => {
    throw new HearthlendError('FILE_UNWRITABLE', { path, detail: cause.message }, { cause });
  });
  return path;
}

/** Removes what a killed agent may have left. */
export async function removeLaunchFiles(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) if (NAME.test(name)) await rm(join(dataDir, name), { force: true });
}
