// `npm start`: installs what is missing, builds, and starts Hearthlend. Arguments go to it: `npm start -- --headless --shards 20`.
import { join } from 'node:path';
import { runAttached } from '../cli/attached.mjs';
import { build } from './build.mjs';
import { bubblewrap, ensureDebianPackages, ensureDependencies, fail, nodeBinary, root } from './setup.mjs';

try {
  await ensureDependencies();
  // Hearthlend says itself what it runs under without bubblewrap, and practice goes on.
  if (process.platform === 'linux') await ensureDebianPackages([bubblewrap], { required: false, quiet: true });
  await build();
  await runAttached(nodeBinary, [join(root, 'dist/cli/main.mjs'), 'start', ...process.argv.slice(2)]);
} catch (error) {
  fail(error);
}
