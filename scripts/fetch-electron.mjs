// Fetches Electron's runtime into its package, run by desktop.mjs as `node fetch-electron.mjs <folder of the package>` on Node 24.
// Prints a JSON line for each whole percent, and `{"failed": why}` where it can't. The package's own installer checks and unpacks what came.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** A download that stands still for so long is given up. */
const stallMs = 20_000;
const folder = process.argv[2];
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** What a failed request means to a person: the innermost message says most. */
function reasonOf(error) {
  if (error?.name === 'AbortError') return `nothing came for ${stallMs / 1000} s`;
  return error?.cause?.message ?? error?.message ?? String(error);
}

async function fetchRuntime() {
  const required = createRequire(join(folder, 'package.json'));
  const { downloadArtifact } = await import(pathToFileURL(required.resolve('@electron/get')).href);
  const stalled = new AbortController();
  let timer = setTimeout(() => stalled.abort(), stallMs);
  let told = -1;
  try {
    await downloadArtifact({
      version: required('./package.json').version,
      artifactName: 'electron',
      checksums: required('./checksums.json'),
      platform: process.platform,
      arch: process.arch,
      downloadOptions: {
        quiet: true,
        signal: stalled.signal,
        getProgressCallback: async ({ percent, transferred, total }) => {
          clearTimeout(timer);
          timer = setTimeout(() => stalled.abort(), stallMs);
          const whole = Math.floor(percent * 100);
          if (whole > told) say({ percent: whole, transferred, total });
          told = whole;
        },
      },
    });
  } finally {
    clearTimeout(timer);
  }
  // It finds the archive in the cache.
  const { status, stderr } = spawnSync(process.execPath, [join(folder, 'install.js')], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`unpacking failed: ${stderr.split('\n', 1)[0]}`);
}

fetchRuntime().catch((error) => {
  say({ failed: reasonOf(error) });
  process.exitCode = 1;
});
