import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, onTestFinished, type TestContext, test } from 'vitest';
import { FrameDecoder } from '../../core/contract/frame.ts';
import { WORKER_FRAME_LIMITS, WorkerReply } from '../../core/contract/worker-messages.ts';
import { besideArchive } from '../../core/hardware/system-information.ts';
import { NODE, temporaryFolder } from '../end-to-end/program.ts';
import { packagesImported, root } from './imports.ts';

interface AppFile {
  place: 'archive' | 'unpacked' | 'beside';
  path: string;
  bytes: number;
}
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const settings = readFileSync(join(root, 'electron-builder.yml'), 'utf8');
const onLinux = process.platform === 'linux';
let files: AppFile[] = [];
let resources: string;

/** electron-builder packs the app for real; before that it holds its settings to its own schema. Only Electron's runtime is a stand-in. */
beforeAll(async () => {
  if (!onLinux) return;
  const folder = temporaryFolder('desktop');
  const args = [join(root, 'scripts/package-contents.mjs'), '--json', `--into=${folder}`];
  const { stdout } = await promisify(execFile)(NODE, args, { cwd: root, maxBuffer: 1 << 26 });
  files = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as AppFile[];
  resources = join(folder, 'app', `linux-${process.arch === 'x64' ? '' : `${process.arch}-`}unpacked`, 'resources');
}, 120_000);

/** Writes the files that are in the archive, not beside it. Format: scripts/package-contents.mjs; the files' bytes begin after the second pickle. */
function extractArchive(file: string, into: string): void {
  const bytes = readFileSync(file);
  const start = 8 + bytes.readUInt32LE(4);
  interface Entry {
    files?: Record<string, Entry>;
    unpacked?: boolean;
    size: number;
    offset: string;
  }
  const write = ({ files: inside = {}, ...entry }: Entry, path: string): void => {
    for (const [name, each] of Object.entries(inside)) write(each, join(path, name));
    if (entry.offset === undefined) return;
    mkdirSync(dirname(path), { recursive: true });
    const from = start + Number(entry.offset);
    writeFileSync(path, bytes.subarray(from, from + entry.size));
  };
  write(JSON.parse(bytes.toString('utf8', 16, 16 + bytes.readUInt32LE(12))) as Entry, into);
}

function needsPacking(context: TestContext): void {
  context.skip(!onLinux, 'the stand-in for the runtime is for Linux; elsewhere continuous integration lists the real package');
}

/** Packages that can be loaded at run time, from what the bundles import on through their dependencies. */
function packagesReached(): string[] {
  const names = new Set<string>();
  const visited = new Set<string>();
  const visit = (name: string, from: string): void => {
    // Types are no code; the rest is used at installation alone.
    if (/^@types\/|^(undici-types|node-addon-api|adm-zip|global-agent)$/.test(name)) return;
    const folder = createRequire(join(from, 'x.js'))
      .resolve.paths(name)
      ?.map((path) => join(path, name))
      .find((path) => existsSync(path));
    if (folder === undefined) throw new Error(`${name}, needed by ${from}, is not installed`);
    if (visited.has(folder)) return;
    visited.add(folder);
    names.add(name);
    const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>;
    };
    for (const each of Object.keys(dependencies)) visit(each, folder);
  };
  for (const name of packagesImported('electron', 'worker', 'wallet')) visit(name, root);
  return [...names].sort();
}

test('the app holds what it is built of and what it imports, and nothing else', (context) => {
  needsPacking(context);
  const ours = files.filter(({ path }) => !path.startsWith('node_modules/')).map(({ path }) => path);
  const rooms =
    /^(LICENSE|NOTICE|package\.json|dist\/(electron|gpu-window|ui|wallet|worker)\/.*|resources\/icons\/tray[\w@]*\.png|resources\/(models|signals)\/.*|node\/(node|LICENSE))$/;
  expect(ours.filter((path) => !rooms.test(path))).toEqual([]);
  const packages = files.flatMap(({ path }) => /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\/package\.json$/.exec(path)?.[1] ?? []);
  expect([...new Set(packages)].sort()).toEqual(packagesReached());
  expect(
    files.filter(({ path }) => /\.(map|tsx?|mts|cts|o|cc|h|gyp)$|(^|\/)(\.git|\.npmrc|\.built|\.lock)/.test(path)).map(({ path }) => path),
  ).toEqual([]);
});

test("what the app starts or reads is where it looks for it: its own entry in the archive, a plain Node's files beside it", (context) => {
  needsPacking(context);
  const place = new Map(files.map((file) => [file.path, file.place]));
  const pictures = [...readFileSync(join(root, manifest.main), 'utf8').matchAll(/"resources", "icons", "([^"]+)"/g)].map(
    ([, name = '']) => `resources/icons/${name}`,
  );
  expect(pictures).not.toEqual([]);
  for (const path of [...pictures, manifest.main, 'dist/ui/index.html', 'dist/gpu-window/onnxruntime.wasm', 'LICENSE', 'NOTICE'])
    expect([path, place.get(path)]).toEqual([path, 'archive']);
  for (const path of [
    'dist/worker/native.mjs',
    'dist/worker/probe.mjs',
    'dist/wallet/signer.mjs',
    'resources/models/wordnet-lm/onnx/model.onnx',
    'resources/models/wordnet-lm/tokenizer.json',
    'resources/signals/windows.ps1',
    'resources/signals/macos.js',
    'node_modules/onnxruntime-node/dist/index.js',
    'node_modules/onnxruntime-common/package.json',
    'node_modules/systeminformation/lib/index.js',
    `node_modules/better-sqlite3/prebuilds/linux-${process.arch}.node`,
  ]) {
    expect([path, place.get(path)]).toEqual([path, 'unpacked']);
    expect(statSync(join(resources, 'app.asar.unpacked', path)).size).toBeGreaterThan(0);
  }
  expect(place.get('node/node')).toBe('beside');
  expect(statSync(join(resources, 'node/node')).mode & 0o111).toBe(0o111);
});

test('every package that the app imports loads from what is packed, with nothing else around it', async (context) => {
  needsPacking(context);
  const place = temporaryFolder('loading');
  extractArchive(join(resources, 'app.asar'), place);
  cpSync(join(resources, 'app.asar.unpacked'), place, { recursive: true });
  const names = [...packagesImported('electron')].filter((name) => name !== 'systeminformation');
  writeFileSync(join(place, 'load.mjs'), [...names.map((name) => `await import('${name}');`), "console.log('loaded');"].join('\n'));
  const env = { ORT_DISABLE_TELEMETRY: '1' };
  expect((await promisify(execFile)(join(resources, 'node/node'), [join(place, 'load.mjs')], { cwd: place, env })).stdout).toBe('loaded\n');
  expect(names).toContain('ethers');
  // What is handed to another process as a path, and is CommonJS.
  const ask = [
    '-e',
    'console.log(typeof require(process.argv[1]).graphics)',
    join(resources, 'app.asar.unpacked/node_modules/systeminformation'),
  ];
  expect((await promisify(execFile)(join(resources, 'node/node'), ask, { env })).stdout).toBe('function\n');
}, 60_000);

test('native code is for one platform alone, and the app stays below 230 MB without its runtime', (context) => {
  needsPacking(context);
  const native = files.filter(({ path }) => /\.(node|dll|dylib|exe)$|\.so(\.|$)/.test(path)).map(({ path }) => path);
  expect(native.filter((path) => !new RegExp(`linux[-/]${process.arch}`).test(path))).toEqual([]);
  expect(files.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(230e6);
});

test('the packed Node starts the packed worker, which finds ONNX Runtime beside it', async (context) => {
  needsPacking(context);
  const worker = spawn(join(resources, 'node/node'), [join(resources, 'app.asar.unpacked/dist/worker/native.mjs'), resources], {
    cwd: dirname(resources),
    env: { ORT_DISABLE_TELEMETRY: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void worker.kill('SIGKILL'));
  const decoder = new FrameDecoder(WORKER_FRAME_LIMITS);
  for await (const chunk of worker.stdout as AsyncIterable<Uint8Array>) {
    const [frame] = decoder.push(chunk);
    if (frame === undefined) continue;
    expect(WorkerReply.parse(frame.header)).toMatchObject({ type: 'ready', node: expect.stringContaining('24.') });
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    return;
  }
  expect.fail('the worker ended without a word');
});

test('a plain Node is sent to the files beside the archive, wherever the app lies', () => {
  expect(besideArchive('/opt/Hearthlend/resources/app.asar/node_modules/x/lib/index.js')).toBe(
    '/opt/Hearthlend/resources/app.asar.unpacked/node_modules/x/lib/index.js',
  );
  expect(besideArchive('C:\\H\\resources\\app.asar\\node_modules\\x.js')).toBe('C:\\H\\resources\\app.asar.unpacked\\node_modules\\x.js');
  expect(besideArchive('/home/app.asar.unpacked/x.js')).toBe('/home/app.asar.unpacked/x.js');
  expect(besideArchive('/checkout/node_modules/x.js')).toBe('/checkout/node_modules/x.js');
});

test('the app can be neither a plain Node nor debugged nor fed other code: its fuses are blown so', (context) => {
  needsPacking(context);
  const fuses = readFileSync(join(dirname(resources), 'hearthlend'), 'latin1').slice(-8);
  // Run as Node, encrypted cookies, NODE_OPTIONS, --inspect, integrity of the archive, nothing but the archive, browser snapshot, file: privileges.
  expect(fuses).toBe('01001100');
  expect(settings).toMatch(/^ {2}resetAdHocDarwinSignature: true$/m);
});

test('nothing is published by building, data outlives the program, and links of its own scheme open it', () => {
  expect(settings).toMatch(/^publish: null$/m);
  expect(settings).toMatch(/^ {2}deleteAppDataOnUninstall: false$/m);
  expect(settings).toMatch(/^ {4}schemes: \[hearthlend\]$/m);
  expect(settings).toMatch(/^ {2}hardenedRuntime: true$/m);
});

test('every file that the settings name is there', () => {
  const named = [...settings.matchAll(/\b(resources\/(?!models)[\w./@-]+)/g)].map(([path = '']) => path.replace(/[.,]$/, ''));
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test('the icon is square and as large as each format wants it', () => {
  const side = (path: string): number[] => {
    const png = readFileSync(join(root, 'resources/icons', path));
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    return [png.readUInt32BE(16), png.readUInt32BE(20)];
  };
  expect(side('icon.png')).toEqual([1024, 1024]);
  expect([side('tray.png'), side('tray@2x.png')]).toEqual([
    [16, 16],
    [32, 32],
  ]);
  for (const size of [16, 24, 32, 48, 64, 128, 256, 512]) expect(side(`linux/${size}x${size}.png`)).toEqual([size, size]);
});
