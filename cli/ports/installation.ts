import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where this program lies, and what it is. */
export interface Installation {
  root: string;
  version: string;
  /** Folder of the built pages. */
  uiFolder: string;
}

/** Finds the folder with package.json above a module of ours: the bundle in dist/cli as well as the sources. */
export function findInstallation(modulePath: string): Installation {
  let root = dirname(modulePath);
  while (!existsSync(join(root, 'package.json'))) {
    const above = dirname(root);
    if (above === root) throw new Error(`no package.json above ${modulePath}`);
    root = above;
  }
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return { root, version, uiFolder: join(root, 'dist', 'ui') };
}
