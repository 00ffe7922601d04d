// `npm run demo`: the whole network on this computer in under 90 seconds: a liar caught, a machine killed, the tokens the same, the money arrived.
// `-- --no-page` for the terminal alone, `-- --json`, `-- --keep` to stay at the end, `-- --picture FILE` for what the page shows at its end.
import { join } from 'node:path';
import { runAttached } from '../cli/attached.mjs';
import { build } from './build.mjs';
import { bubblewrap, ensureDebianPackages, ensureDependencies, fail, natsServer, nodeBinary, root } from './setup.mjs';

try {
  await ensureDependencies();
  await ensureDebianPackages([natsServer], { required: true });
  // Without it the machines compute less sealed, and say so.
  if (process.platform === 'linux') await ensureDebianPackages([bubblewrap], { required: false, quiet: true });
  await build();
  await runAttached(nodeBinary, ['--disable-warning=ExperimentalWarning', join(root, 'test/demo/demo.ts'), ...process.argv.slice(2)]);
} catch (error) {
  fail(error);
}
