import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PAGE_HEADERS, PAGE_ORIGIN } from './policy.ts';

/** One answer of the only host there is for the page. */
export interface PageFile {
  body: Buffer;
  headers: Record<string, string>;
}

/**
 * The page's two files, read once: what it may load, by address. `script` is the built one that runs in it: the worker, or the probe that tries
 * to break out.
 */
export function readPageFiles(folder: string, script: 'page.js' | 'probe.js'): ReadonlyMap<string, PageFile> {
  const file = (name: string, type: string): PageFile => ({
    body: readFileSync(join(folder, name)),
    headers: { ...PAGE_HEADERS, 'content-type': type },
  });
  return new Map([
    [`${PAGE_ORIGIN}/`, file('index.html', 'text/html; charset=utf-8')],
    [`${PAGE_ORIGIN}/page.js`, file(script, 'text/javascript; charset=utf-8')],
  ]);
}
