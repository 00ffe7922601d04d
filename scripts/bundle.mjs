// Bundles the sources into dist/ (see build.mjs, which calls this on Node 24 when dist/ isn't fresh).
// Safe against being killed: the stamp dist/.built goes first and comes last. Safe against a second build: SQLite's lock on dist/.lock,
// which the system lets go when its holder dies.
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { stripVTControlCharacters } from 'node:util';
import react from '@vitejs/plugin-react';
import { rolldown } from 'rolldown';
import { build as viteBuild } from 'vite';
import { distFresh, inputsHash } from './build.mjs';
import { fail, root, SetupError } from './setup.mjs';

const dist = join(root, 'dist');
const lockWaitMs = 5 * 60 * 1000;
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/**
 * Packages that the command line finds in node_modules: those with native code, and those that look for files of their own. All others are taken in,
 * as far as they are used: what is read is kept in memory, and most of what ethers and its like bring is for others.
 */
const apart = ['better-sqlite3', 'chrome-launcher', 'onnxruntime-node', 'systeminformation'];

/** What is built from what. `external` says which packages stay imports, to be found in node_modules at run time. */
const programs = [
  // In parts, so that a command loads what it needs.
  { entry: 'cli/main.ts', file: 'cli/main.mjs', external: (name) => apart.includes(name), inParts: true },
  { entry: 'electron/main.ts', file: 'electron/main.mjs', external: (name) => name === 'electron' || name in dependencies },
  // Electron runs a sandboxed preload as CommonJS.
  { entry: 'electron/preload.ts', file: 'electron/preload.cjs', external: (name) => name === 'electron' },
  { entry: 'electron/gpu-window/preload.ts', file: 'electron/gpu-window-preload.cjs', external: (name) => name === 'electron' },
  { entry: 'worker/native/main.ts', file: 'worker/native.mjs', external: (name) => name === 'onnxruntime-node' },
  { entry: 'worker/native/probe.ts', file: 'worker/probe.mjs', external: () => false },
  { entry: 'core/wallet/signer/main.ts', file: 'wallet/signer.mjs', external: () => false },
  { entry: 'core/wallet/signer/payer.ts', file: 'wallet/payer.mjs', external: () => false },
  { entry: 'worker/webgpu/page.ts', file: 'gpu-window/page.js', external: () => false, platform: 'browser' },
  { entry: 'worker/webgpu/probe.ts', file: 'gpu-window/probe.js', external: () => false, platform: 'browser' },
  { entry: 'worker/webgpu/bridge.ts', file: 'gpu-window/bridge.js', external: () => false, platform: 'browser' },
];

/** V8 keeps a source that has one character beyond Latin-1 in two bytes a character, for as long as the program runs. Names and lines stay. */
const minify = { compress: false, mangle: false, codegen: { removeWhitespace: false, asciiOnly: true } };

async function bundleProgram({ entry, file, external, platform = 'node', inParts = false }, into) {
  const bundle = await rolldown({
    input: join(root, entry),
    platform,
    tsconfig: join(root, 'tsconfig.json'),
    external: (id) => isBuiltin(id) || (!id.startsWith('.') && !isAbsolute(id) && external(packageName(id))),
    transform: { target: 'node24' },
    logLevel: 'warn',
  });
  try {
    const format = file.endsWith('.cjs') ? 'cjs' : 'esm';
    const where = inParts
      ? { dir: join(into, dirname(file)), entryFileNames: basename(file), chunkFileNames: 'parts/[name]-[hash].mjs' }
      : { file: join(into, file), codeSplitting: false };
    const { output } = await bundle.write({ ...where, format, sourcemap: true, comments: false, minify });
    const left = output.flatMap((part) => (part.type === 'chunk' ? [...part.imports, ...part.dynamicImports] : []));
    const own = output.map((part) => part.fileName);
    const stray = left.filter((id) => !own.includes(id) && !isBuiltin(id) && !external(packageName(id)));
    if (stray.length > 0) throw new SetupError(`${entry} imports ${stray.join(', ')}, which its bundle must not leave outside.`);
  } finally {
    await bundle.close();
  }
}

function packageName(id) {
  return id
    .split('/')
    .slice(0, id.startsWith('@') ? 2 : 1)
    .join('/');
}

/** What a page of the GPU window is made of beside its scripts. The WebAssembly is the build with WebGPU that suspends (JSPI): the smallest. */
function copyGpuWindow(into) {
  copyFileSync(join(root, 'worker/webgpu/index.html'), join(into, 'gpu-window/index.html'));
  const wasm = 'onnxruntime-web/dist/ort-wasm-simd-threaded.jspi.wasm';
  copyFileSync(join(root, 'node_modules', wasm), join(into, 'gpu-window/onnxruntime.wasm'));
}

async function bundlePages(into) {
  await viteBuild({
    configFile: false,
    root: join(root, 'renderer'),
    // The UI is served from the root of its own origin, by the loopback server and by the window's own scheme.
    base: '/',
    plugins: [react()],
    logLevel: 'warn',
    build: {
      outDir: join(into, 'ui'),
      emptyOutDir: true,
      target: 'es2024',
      // No data: URLs and no inline script, so that the content security policy can forbid both.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      chunkSizeWarningLimit: 2_000,
      // The agent's pages, and the page of who operates a network.
      rolldownOptions: { input: ['index.html', 'operator.html'].map((page) => join(root, 'renderer', page)) },
    },
  });
}

/** Bundlers colour their messages whether or not they reach a terminal. */
function plain(message) {
  return process.stderr.isTTY ? message : stripVTControlCharacters(message);
}

function filesUnder(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
}

/** Moves the staged files into dist/, each at once; index.html, which names the others, last; then removes what is left of older builds. */
function publish(staging, inputs) {
  const files = filesUnder(staging).sort((a, b) => Number(a.endsWith('.html')) - Number(b.endsWith('.html')));
  rmSync(join(dist, '.built'), { force: true });
  for (const file of files) {
    mkdirSync(dirname(join(dist, file)), { recursive: true });
    renameSync(join(staging, file), join(dist, file));
  }
  for (const file of filesUnder(dist)) if (!file.startsWith('.') && !files.includes(file)) rmSync(join(dist, file));
  writeFileSync(join(staging, 'built'), `${JSON.stringify({ inputs, files })}\n`);
  renameSync(join(staging, 'built'), join(dist, '.built'));
}

async function buildAll() {
  // Taken before anything is read: what changes while we build makes the result stale, not wrongly fresh.
  const inputs = inputsHash();
  if (distFresh(inputs)) return;
  for (const name of readdirSync(dist)) if (name.startsWith('.staging-')) rmSync(join(dist, name), { recursive: true });
  const startedAt = Date.now();
  const staging = mkdtempSync(join(dist, '.staging-'));
  try {
    for (const program of programs) await bundleProgram(program, staging);
    copyGpuWindow(staging);
    await bundlePages(staging);
    publish(staging, inputs);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
  console.log(`Built dist/ in ${((Date.now() - startedAt) / 1000).toFixed(1)} s.`);
}

try {
  mkdirSync(dist, { recursive: true });
  const lock = new DatabaseSync(join(dist, '.lock'), { timeout: lockWaitMs });
  lock.exec('BEGIN EXCLUSIVE');
  await buildAll();
  lock.close();
} catch (error) {
  if (error?.code === 'EACCES' || error?.code === 'EROFS') fail(new SetupError(`dist/ can't be written: ${error.message}`));
  // A bundler's error says where and what in its message; our stack adds nothing.
  fail(Array.isArray(error?.errors) ? new SetupError(plain(error.message)) : error);
}
