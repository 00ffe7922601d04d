import { execFile } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { posix } from 'node:path';
import { promisify } from 'node:util';
import { readInterpreter, splitLibraryList } from '../libraries.ts';

/** Where libraries are looked for, beside where the dynamic loader looks by itself. */
export interface LibraryFinder {
  loader: string;
  /** Folders of CUDA's own installers, and those that LD_LIBRARY_PATH names. */
  extraFolders: string[];
  /** A library's path; null where it isn't found. */
  path(name: string, first?: readonly string[]): string | null;
}

const LIST_MS = 10_000;
const LIST_BYTES = 1 << 20;
const LDCONFIG = ['/sbin/ldconfig', '/usr/sbin/ldconfig'];
/** Where libraries lie that no loader's cache need know: NixOS' drivers, and CUDA as NVIDIA's installer puts it. */
const FOLDERS = [
  '/run/opengl-driver/lib',
  '/usr/local/cuda/lib64',
  '/usr/local/cuda-12/lib64',
  '/opt/cuda/lib64',
  '/opt/cuda/targets/x86_64-linux/lib',
];

export async function librarySearch(program: string, env: Readonly<Record<string, string | undefined>>): Promise<LibraryFinder> {
  const loader = await readInterpreter(program);
  const named = (env.LD_LIBRARY_PATH ?? '').split(':').filter((folder) => folder.startsWith('/'));
  const extraFolders = [...named, ...FOLDERS].filter(existsSync);
  const cached = await cachedLibraries();
  const multiarch = posix.dirname(realpathSync(loader));
  return {
    loader,
    extraFolders,
    path(name, first = []) {
      const folders = [...first, ...extraFolders];
      const beside = folders.map((folder) => posix.join(folder, name)).find(existsSync);
      return (
        beside ??
        cached.get(name) ??
        [multiarch, '/usr/lib64', '/usr/lib'].map((folder) => posix.join(folder, name)).find(existsSync) ??
        null
      );
    },
  };
}

/**
 * Libraries with all that they are linked to, by the paths under which the loader finds them; and the names of those that it finds nowhere.
 * @param wanted paths, or names to be looked up
 */
export async function findLibraries(finder: LibraryFinder, wanted: readonly string[]): Promise<{ libraries: string[]; missing: string[] }> {
  const libraries = new Set<string>();
  const missing = new Set<string>();
  for (const each of wanted) {
    const path = each.includes('/') ? each : finder.path(each);
    if (path === null || !existsSync(path)) {
      missing.add(posix.basename(each));
      continue;
    }
    libraries.add(path);
    const folders = [...finder.extraFolders, posix.dirname(path)].join(':');
    // A library that can't even be listed shows when it is used: that is what the kernel is run for.
    const listed = await promisify(execFile)(finder.loader, ['--list', path], {
      env: { LD_LIBRARY_PATH: folders },
      timeout: LIST_MS,
      maxBuffer: LIST_BYTES,
    }).catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? '' }));
    const found = splitLibraryList(listed.stdout);
    for (const library of found.paths) libraries.add(library);
    for (const name of found.missing) missing.add(name);
  }
  return { libraries: [...libraries], missing: [...missing] };
}

/** What the loader's cache holds, by name: 64-bit libraries, the first of each name. Musl has none. */
async function cachedLibraries(): Promise<Map<string, string>> {
  const program = LDCONFIG.find(existsSync);
  const found = new Map<string, string>();
  if (program === undefined) return found;
  const { stdout } = await promisify(execFile)(program, ['-p'], { env: {}, timeout: LIST_MS, maxBuffer: 8 * LIST_BYTES }).catch(() => ({
    stdout: '',
  }));
  for (const line of stdout.split('\n')) {
    const [, name, path] = /^\s*(\S+) \(libc6,(?:x86-64|AArch64)[^)]*\) => (\/\S+)$/.exec(line) ?? [];
    if (name !== undefined && path !== undefined && !found.has(name)) found.set(name, path);
  }
  return found;
}
