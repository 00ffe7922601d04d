import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

/** Packages that the built files below these folders of dist/ leave to be found in node_modules, by what their bundles import. */
export function packagesImported(...folders: string[]): Set<string> {
  const names = new Set<string>();
  for (const folder of folders) {
    for (const file of readdirSync(join(root, 'dist', folder)).filter((name) => /\.[cm]?js$/.test(name))) {
      const text = readFileSync(join(root, 'dist', folder, file), 'utf8');
      const imports = [
        ...text.matchAll(/^(?:import|export)\b[^'"\n;]*?["']([^"'\n]+)["']/gm),
        ...text.matchAll(/\bimport\(\s*["']([^"'\n]+)["']/g),
        // A package whose path is handed to another process.
        ...text.matchAll(/createRequire\(import\.meta\.url\)\.resolve\(["']([^"'\n]+)["']/g),
        // Of CommonJS: calls of the real `require` with a name, as bundlers leave them at the start of an assignment.
        ...text.matchAll(/= (?:__toESM\()?require\(["']([^"'\n]+)["']/g),
      ];
      for (const [, id = ''] of imports) {
        if (id.startsWith('.') || id.startsWith('node:') || id === 'electron' || id.startsWith('electron/')) continue;
        const name = id
          .split('/')
          .slice(0, id.startsWith('@') ? 2 : 1)
          .join('/');
        if (!builtinModules.includes(name)) names.add(name);
      }
    }
  }
  return names;
}
