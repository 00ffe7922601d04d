// `npm test`: installs what is missing, builds, runs every test. Arguments go to vitest: `npm test -- test/house.test.ts`.
// The last line is `N passed, N failed`, with `, N skipped` when tests were skipped; each of those is listed with its reason.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './build.mjs';
import {
  bubblewrap,
  chromium,
  dbus,
  ensureDebianPackages,
  ensureDependencies,
  fail,
  natsServer,
  nodeBinary,
  root,
  run,
  xvfb,
} from './setup.mjs';

/** What vitest's reporter (test/reporter.ts) wrote down, or a failure when it never got that far. */
function readResults(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, skipped: [] };
  }
}

try {
  await ensureDependencies();
  // A test that needs one of these skips itself, with the reason, where it is missing.
  await ensureDebianPackages(process.platform === 'linux' ? [bubblewrap, chromium, xvfb, dbus, natsServer] : [chromium, natsServer], {
    required: false,
  });
  await build();
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-test-'));
  const file = join(folder, 'results.json');
  const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...process.argv.slice(2)];
  const code = await run(nodeBinary, args, { env: { ...process.env, NODE_ENV: 'test', HEARTHLEND_TEST_RESULTS: file } });
  const { passed, failed, skipped } = readResults(file);
  rmSync(folder, { recursive: true });

  // With a name filter vitest reports everything else as skipped.
  const filtered = process.argv.some((arg) => /^(-t|--testNamePattern)/.test(arg));
  const listed = skipped.filter((test) => !filtered || test.reason !== null);
  for (const test of listed) console.log(`skipped: ${test.name}: ${test.reason ?? 'NO REASON GIVEN'}`);
  const unexplained = process.env.CI ? listed.filter((test) => test.reason === null).length : 0;
  if (unexplained > 0) console.log(`In CI a test skipped without a reason counts as failed (${unexplained}).`);
  if (passed + failed === 0) console.log('No test ran.');
  // vitest can also fail by itself, such as by an error outside of any test.
  const failures = Math.max(failed + unexplained, code === 0 ? 0 : 1);
  const silent = listed.length - unexplained;
  console.log(`${passed} passed, ${failures} failed${silent > 0 ? `, ${silent} skipped` : ''}`);
  process.exitCode = failures > 0 || passed === 0 ? 1 : 0;
} catch (error) {
  fail(error);
}
