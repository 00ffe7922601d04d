import { readFile } from 'node:fs/promises';

/** A small file's text; empty where there is none, which most of the files that are looked for are on most machines. */
export async function smallFile(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).trim();
}
