// Builds dist/ from the sources, unless it is there already: `npm run build`, and before every start and test.
// Runs on Node 20 with nothing installed; the bundling itself (bundle.mjs) runs on Node 24.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildToolsInstalled, buildToolsMissing, fail, markDependenciesFresh, nodeBinary, root, run, SetupError } from './setup.mjs';

const inputs = [
  'core',
  'coordinator',
  'worker',
  'cli',
  'electron',
  'renderer',
  'resources',
  'scripts',
  'package-lock.json',
  'package.json',
  'tsconfig.json',
];
const notBundled = 'resources/models';

/** SHA-256 over the names and bytes of everything that can end up in dist/. */
export function inputsHash() {
  const hash = createHash('sha256');
  const add = (path, isFolder) => {
    if (path === notBundled) return;
    if (!isFolder)
      return hash.update(`${path}\0`).update(
        createHash('sha256')
          .update(readFileSync(join(root, path)))
          .digest(),
      );
    const entries = readdirSync(join(root, path), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) add(`${path}/${entry.name}`, entry.isDirectory());
  };
  for (const path of inputs) if (existsSync(join(root, path))) add(path, !path.includes('.'));
  return hash.digest('hex');
}

/** True when dist/ was built, in full, from inputs of this hash. */
export function distFresh(hash) {
  try {
    const built = JSON.parse(readFileSync(join(root, 'dist/.built'), 'utf8'));
    return built.inputs === hash && built.files.every((file) => existsSync(join(root, 'dist', file)));
  } catch {
    return false;
  }
}

/** Builds dist/ if it isn't fresh. @throws {SetupError} */
export async function build() {
  if (distFresh(inputsHash())) return;
  if (!buildToolsInstalled() || !existsSync(nodeBinary)) throw new SetupError(buildToolsMissing);
  const code = await run(nodeBinary, ['--disable-warning=ExperimentalWarning', join(root, 'scripts/bundle.mjs')], {
    env: { ...process.env, NODE_ENV: 'production' },
  });
  if (code !== 0) throw new SetupError('The build failed; the reason is above.');
}

/** vitest's global setup, so that tests meet a dist/ as new as its sources. `npm test` has built before, and stops where that fails. */
export async function setup() {
  await build().catch((error) => console.error(`${error.message}\nTests go on; those that use dist/ meet an older one, or none.`));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  // npm runs `prepare` once everything is installed. Without the build tools it must not fail the install: dist/ may come from elsewhere.
  const preparing = process.env.npm_lifecycle_event === 'prepare';
  // `npx hearthlend` prepares a checkout too. A failure there would leave npx's cache broken for good, and say nothing; the command itself builds.
  const byNpx = preparing && process.env.npm_command === 'exec';
  if (preparing && !byNpx) markDependenciesFresh();
  if (!byNpx) {
    await build().catch((error) => {
      if (!preparing || buildToolsInstalled()) fail(error);
      console.warn(error.message);
    });
  }
}
