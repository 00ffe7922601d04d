// `npm run bench`: what Hearthlend costs, against named baselines measured in the same run. Arguments go to `hearthlend bench`; without --out the
// figures are also put into bench/results, by day and machine.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './build.mjs';
import { ensureDependencies, fail, nodeBinary, root, run } from './setup.mjs';

/** A machine in a file's name: its processor and cores. */
function machineName() {
  const model = (cpus()[0]?.model ?? 'unknown').toLowerCase().replace(/\((r|tm)\)|processor|cpu/g, '');
  return `${model.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '')}-${availableParallelism()}-cores`;
}

const folder = mkdtempSync(join(tmpdir(), 'hearthlend-bench-'));
try {
  await ensureDependencies();
  await build();
  const given = process.argv.slice(2);
  const results = join(root, 'bench/results');
  mkdirSync(results, { recursive: true });
  const out = given.includes('--out') ? [] : ['--out', join(results, `${new Date().toISOString().slice(0, 10)}-${machineName()}.json`)];
  const cli = join(root, 'dist/cli/main.mjs');
  process.exitCode = await run(nodeBinary, [cli, 'bench', '--data-dir', join(folder, 'data'), ...out, ...given]);
  // The same from outside: what somebody waits for who types `npm start`.
  if (process.exitCode === 0 && !given.includes('--quick')) {
    process.exitCode = await run(nodeBinary, [join(root, 'test/bench/first-shard.ts')]);
  }
  // What stages of a large decoder cost, and that they make its tokens.
  if (process.exitCode === 0 && !given.includes('--quick')) {
    process.exitCode = await run(nodeBinary, [join(root, 'test/bench/staged.ts')]);
  }
} catch (error) {
  fail(error);
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
