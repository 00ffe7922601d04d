// `npm start`: installs what is missing, builds, and starts Hearthlend. Arguments go to it: `npm start -- --headless --shards 20`.
import { join } from 'node:path';
import { attach, runAttached } from '../cli/attached.mjs';
import { build } from './build.mjs';
import { readSystemFile, showDesktop } from './desktop.mjs';
import { bubblewrap, ensureDebianPackages, ensureDependencies, fail, nodeBinary, root } from './setup.mjs';

try {
  await ensureDependencies();
  // Hearthlend says itself what it runs under without bubblewrap, and practice goes on.
  if (process.platform === 'linux') await ensureDebianPackages([bubblewrap], { required: false, quiet: true });
  await build();
  const args = process.argv.slice(2);
  const machine = { platform: process.platform, env: process.env, uid: process.getuid?.(), read: readSystemFile };
  // Arguments are the command line's, so that with any of them it is the one to run.
  const desktop =
    args.length > 0 ? undefined : await showDesktop({ root, node: nodeBinary, machine, say: console.log, terminal: process.stdout });
  await (desktop === undefined ? runAttached(nodeBinary, [join(root, 'dist/cli/main.mjs'), 'start', ...args]) : attach(desktop));
} catch (error) {
  fail(error);
}
