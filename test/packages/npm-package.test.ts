import { execFile, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { npmCommand } from '../../scripts/setup.mjs';
import { allFiles, temporaryFolder } from '../end-to-end/program.ts';
import { packagesImported, root } from './imports.ts';

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/** What npm adds by itself; it insists on the file that `main` names, which is there for Electron. */
const always = ['package.json', 'README.md', 'LICENSE', manifest.main];

interface Packed {
  filename: string;
  size: number;
  unpackedSize: number;
  files: Array<{ path: string; mode: number }>;
}
let folder: string;
let packed: Packed;
let paths: string[];

/** npm as a person runs it, not as a script that another npm started. */
async function npm(cwd: string, ...args: string[]): Promise<string> {
  const { command, args: before, shell } = npmCommand(process.env);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_ENV$|VITEST)/i.test(name)));
  const options = { cwd, shell, env: { ...env, ONNXRUNTIME_NODE_INSTALL: 'skip' }, maxBuffer: 1 << 26 };
  const { stdout } = await promisify(execFile)(command, [...before, ...args], options);
  return stdout;
}

beforeAll(async () => {
  folder = temporaryFolder('npm');
  // Its scripts build, and this suite's setup has done so.
  [packed] = JSON.parse(await npm(root, 'pack', '--json', '--ignore-scripts', '--pack-destination', folder)) as [Packed];
  paths = packed.files.map(({ path }) => path);
}, 60_000);

test('the npm package holds the built program, its model and its papers, and nothing else', () => {
  const allowed = [...always, ...manifest.files.filter((entry: string) => !entry.startsWith('!'))];
  expect(paths.filter((path) => !allowed.some((entry) => path === entry || path.startsWith(`${entry}/`)))).toEqual([]);
  for (const needed of [
    'NOTICE',
    'LICENSE',
    'cli/hearthlend.mjs',
    'cli/attached.mjs',
    'dist/cli/main.mjs',
    'dist/worker/native.mjs',
    'dist/worker/probe.mjs',
    'dist/wallet/signer.mjs',
    'dist/ui/index.html',
    'dist/gpu-window/index.html',
    'dist/gpu-window/page.js',
    'dist/gpu-window/onnxruntime.wasm',
    'resources/linux/hearthlend.service',
    'resources/signals/windows.ps1',
    'resources/signals/macos.js',
    'resources/models/wordnet-lm/onnx/model.onnx',
    'resources/models/wordnet-lm/tokenizer.json',
    'resources/models/wordnet-lm/LICENSE.wordnet',
  ]) {
    expect(paths).toContain(needed);
  }
  expect(
    paths.filter((path) => /\.(tsx?|map|log|db|tgz|env|key|pem)$|(^|\/)(test|node_modules|\.git[^/]*|\.npmrc)(\/|$)/.test(path)),
  ).toEqual([]);
  // Windows knows no such bit; npm sets it for the files that `bin` names when it installs them.
  const mode = packed.files.find(({ path }) => path === 'cli/hearthlend.mjs')?.mode ?? 0;
  if (process.platform !== 'win32') expect(mode & 0o111).not.toBe(0);
});

test('the npm package stays small: 20 MB to fetch, 45 MB unpacked', () => {
  expect(packed.size).toBeLessThan(20e6);
  expect(packed.unpackedSize).toBeLessThan(45e6);
});

test('nothing in the npm package names a folder of the machine that built it, or holds a private key', () => {
  const homes = [root, homedir()].filter((path) => path.split('/').length > 2 || path.includes('\\'));
  const found = paths.filter((path) => {
    const text = readFileSync(join(root, path), 'latin1');
    return homes.some((home) => text.includes(home)) || /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text);
  });
  expect(found).toEqual([]);
});

test('every package that the built program imports is a dependency, and none of them is missing at an installation without devDependencies', () => {
  const imported = [...packagesImported('cli', 'worker', 'wallet')];
  expect(imported.filter((name) => manifest.dependencies[name] === undefined)).toEqual([]);
  expect(imported).toContain('onnxruntime-node');
});

test('installed from its tarball in an empty folder, with the npm registry alone, it computes practice and its ledger holds', async (context) => {
  const registry = (await npm(folder, 'config', 'get', 'registry')).trim();
  const answer = await fetch(new URL('onnxruntime-common', registry), { method: 'HEAD', signal: AbortSignal.timeout(10_000) }).catch(
    () => null,
  );
  context.skip(answer === null || !answer.ok, `the npm registry ${registry} is not reachable`);

  const place = join(folder, 'place');
  mkdirSync(place);
  await npm(place, 'install', '--no-audit', '--no-fund', join(folder, packed.filename));
  // Nothing but what the lockfile of a checkout also has: no CUDA libraries, which come from another host.
  expect(allFiles(join(place, 'node_modules')).filter((file) => /cuda|tensorrt/i.test(file) && /\.(so|dll)/.test(file))).toEqual([]);

  const data = join(folder, 'data');
  const run = await npm(place, 'exec', '--no', '--', 'hearthlend', 'start', '--headless', '--shards', '5', '--json', '--data-dir', data);
  expect(JSON.parse(run.trim().split('\n').at(-1) ?? '')).toMatchObject({ event: 'summary', accepted: 5, failed: 0 });
  const verified = await npm(place, 'exec', '--no', '--', 'hearthlend', 'ledger', 'verify', '--json', '--data-dir', data);
  expect(JSON.parse(verified)).toMatchObject({ ok: true });
  expect(readdirSync(place).sort()).toEqual(['node_modules', 'package-lock.json', 'package.json']);
}, 240_000);

test('on an older Node, where npm ran no install script, it says how to get Node 24 and ends with 1', () => {
  const place = temporaryFolder('no-node');
  mkdirSync(join(place, 'cli'));
  for (const name of ['cli/hearthlend.mjs', 'cli/attached.mjs']) cpSync(join(root, name), join(place, name));
  const old = join(place, 'old-node.mjs');
  writeFileSync(old, "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.0.0' } });\n");
  const start = (): { status: number | null; stderr: string } =>
    spawnSync(process.execPath, ['--import', pathToFileURL(old).href, join(place, 'cli/hearthlend.mjs'), 'doctor'], { encoding: 'utf8' });
  expect(start()).toMatchObject({ status: 1, stderr: expect.stringContaining('npm rebuild node --ignore-scripts=false') });
  mkdirSync(join(place, 'scripts'));
  writeFileSync(join(place, 'scripts/build.mjs'), '');
  expect(start()).toMatchObject({ status: 1, stderr: expect.stringContaining(`Run \`npm ci\` in`) });
  expect(existsSync(join(place, 'dist'))).toBe(false);
});
