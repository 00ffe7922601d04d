#!/usr/bin/env node
// The command `hearthlend`: finds Node 24, builds a checkout that isn't built yet, then becomes dist/cli/main.mjs.
// Written so that an old Node can parse it and say what is wrong.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runAttached, whenNpmIsGone } from './attached.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const main = join(root, 'dist/cli/main.mjs');
const checkout = existsSync(join(root, 'scripts/build.mjs'));
const major = Number(process.versions.node.split('.')[0]);

function leave(message) {
  console.error(message);
  process.exit(1);
}

/** The Node that our dependency `node` carries, wherever npm put it. */
function carriedNode() {
  try {
    const folder = dirname(createRequire(import.meta.url).resolve('node/package.json'));
    const file = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
}

async function launch() {
  if (major < 20) leave(`Hearthlend needs Node 20 or newer; this is ${process.version}. See https://nodejs.org.`);
  if (major < 24) {
    const node = carriedNode();
    if (node === undefined) {
      const remedy = checkout
        ? `Run \`npm ci\` in ${root}, then this again.`
        : 'npm was told to run no install scripts, such as the one that fetches it. Where you installed Hearthlend, run\n' +
          '  npm rebuild node --ignore-scripts=false\nthen this again. Or start Hearthlend with a Node of your own, 24 or newer.';
      leave(`Hearthlend runs on Node 24; this is ${process.version}, and the Node 24 among its dependencies is not installed.\n${remedy}`);
    }
    return runAttached(node, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)]);
  }
  // Without the stamp a build was cut short or is under way, and what lies there may not belong together.
  if (!existsSync(main) || (checkout && !existsSync(join(root, 'dist/.built')))) {
    if (!checkout) leave(`This installation of Hearthlend is incomplete: ${main} is missing. Install it again.`);
    const { build } = await import(pathToFileURL(join(root, 'scripts/build.mjs')).href);
    await build().catch((error) => leave(error.message));
    if (!existsSync(main)) leave(`The build left no ${main}.`);
  }
  whenNpmIsGone(() => process.kill(process.pid, 'SIGTERM'));
  return import(pathToFileURL(main).href);
}

launch().catch((error) => {
  console.error(error);
  process.exit(1);
});
