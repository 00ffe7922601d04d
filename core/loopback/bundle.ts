import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';

interface BundleFile {
  type: string;
  cacheControl: string;
  body: Buffer;
}

/** URL path → file. */
export type Bundle = ReadonlyMap<string, BundleFile>;

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
};

/**
 * Reads the built pages once. Requests are looked up in this map by their exact path and never reach the file system, so no path can lead
 * out of the folder. A folder that isn't there gives an empty map; files of other types are left out.
 */
export async function readBundle(folder: string): Promise<Bundle> {
  const bundle = new Map<string, BundleFile>();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const entry of entries) {
    const type = TYPES[extname(entry.name)];
    if (!entry.isFile() || type === undefined) continue;
    const file = join(entry.parentPath, entry.name);
    const path = `/${relative(folder, file).split(sep).join('/')}`;
    // Names below assets/ carry a hash of their content.
    const cacheControl = path.startsWith('/assets/') ? 'private, max-age=31536000, immutable' : 'no-store';
    bundle.set(path, { type, cacheControl, body: await readFile(file) });
  }
  const index = bundle.get('/index.html');
  if (index !== undefined) bundle.set('/', index);
  return bundle;
}
