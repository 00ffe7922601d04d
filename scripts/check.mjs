// `npm run check`: types, lint and format, dead code, forbidden imports, and that everything bundles. Reports every step that fails.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureDependencies, fail, nodeBinary, root } from './setup.mjs';

const steps = [
  { name: 'build', args: ['scripts/build.mjs'] },
  { name: 'types of the Node rooms', args: ['node_modules/typescript/bin/tsc', '-p', '.'] },
  { name: 'types of the pages', args: ['node_modules/typescript/bin/tsc', '-p', 'renderer'] },
  { name: 'types of the tests', args: ['node_modules/typescript/bin/tsc', '-p', 'test'] },
  { name: 'lint and format', args: ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'] },
  { name: 'dead code', args: ['node_modules/knip/bin/knip.js'] },
  { name: 'imports', args: ['node_modules/vitest/vitest.mjs', 'run', 'test/arrows.test.ts'] },
];

function runStep({ name, args }) {
  return new Promise((resolve, reject) => {
    const startedAt = Date.now();
    const child = spawn(
      nodeBinary,
      args.map((arg, i) => (i === 0 ? join(root, arg) : arg)),
      { cwd: root, env: { ...process.env, NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    const add = (bytes) => {
      output += bytes;
    };
    child.stdout.on('data', add);
    child.stderr.on('data', add);
    child.once('error', reject);
    child.once('close', (code) => {
      const ok = code === 0;
      console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - startedAt) / 1000).toFixed(1)} s)`);
      if (!ok) console.log(output.trimEnd());
      resolve(ok);
    });
  });
}

try {
  await ensureDependencies();
  const failed = [];
  for (const step of steps) if (!(await runStep(step))) failed.push(step.name);
  console.log(failed.length === 0 ? 'All checks passed.' : `Failed: ${failed.join(', ')}.`);
  process.exitCode = failed.length === 0 ? 0 : 1;
} catch (error) {
  fail(error);
}
