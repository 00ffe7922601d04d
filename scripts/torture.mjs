// `npm run torture`: kills, a full disk, a jumping clock, hostile workers, mutated models and frames, hours of work. `-- --scale 0.05` for a
// twentieth of it, `-- --part kills` for one part, `-- --seed 2` for other mutations.
import { join } from 'node:path';
import { runAttached } from '../cli/attached.mjs';
import { build } from './build.mjs';
import { ensureDependencies, fail, nodeBinary, root } from './setup.mjs';

try {
  await ensureDependencies();
  await build();
  await runAttached(nodeBinary, [join(root, 'test/torture/torture.ts'), ...process.argv.slice(2)]);
} catch (error) {
  fail(error);
}
