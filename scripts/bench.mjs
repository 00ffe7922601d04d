// `npm run bench`: what Hearthlend costs, as ratios against a named baseline measured in the same run.
import { join } from 'node:path';
import { runAttached } from '../cli/attached.mjs';
import { build } from './build.mjs';
import { ensureDependencies, fail, nodeBinary, root } from './setup.mjs';

try {
  await ensureDependencies();
  await build();
  await runAttached(nodeBinary, [join(root, 'test/bench/first-shard.ts'), ...process.argv.slice(2)]);
} catch (error) {
  fail(error);
}
