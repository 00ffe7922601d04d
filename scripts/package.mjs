// `npm run package`: the installers of the desktop app for the machine that this runs on, into release/. Arguments go to electron-builder
// (`-- --dir` leaves the unpacked app). Fetches Electron's runtime and the installer tools from GitHub where they aren't cached.
// A .deb names a homepage and a maintainer, which a fork has of its own:
// `npm run package -- -c.extraMetadata.homepage=URL -c.linux.maintainer='NAME <MAIL>'`.
import { join } from 'node:path';
import { runAttached } from '../cli/attached.mjs';
import { build } from './build.mjs';
import { ensureDependencies, fail, nodeBinary, root } from './setup.mjs';

try {
  await ensureDependencies();
  await build();
  await runAttached(nodeBinary, [
    join(root, 'node_modules/electron-builder/cli.js'),
    '--projectDir',
    root,
    '--publish',
    'never',
    ...process.argv.slice(2),
  ]);
} catch (error) {
  fail(error);
}
