import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { expect, onTestFinished, test } from 'vitest';
import { addBackend } from '../../../core/backend-adding.ts';
import { type AddCudaProgress, addCuda } from '../../../core/backends/add-cuda.ts';
import { CUDA_FILES, CUDA_PACKAGE, NUGET } from '../../../core/backends/nuget.ts';
import { messageOf } from '../../../core/contract/messages.ts';
import { NO_DEVICE } from '../../../core/supervisor/sandbox/device-access.ts';
import { findDevice } from '../../../core/supervisor/sandbox/gpu/find-device.ts';
import { FakeNuget } from '../../fakes/nuget.ts';
import { failure, root } from '../supervisor/workbench.ts';

const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
const onLinux = process.platform === 'linux' && process.arch === 'x64';
/** Bytes that no zip makes smaller, the same each time. */
function noise(count: number): Buffer {
  let state = 1;
  return Buffer.alloc(count).map(() => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  }) as Buffer;
}

/** Pressed hard and not at all, so that both ways of a zip are met. */
const libraries = {
  cuda: Buffer.concat([noise(100_000), Buffer.alloc(300_000, 'a provider of CUDA. ')]),
  shared: Buffer.from('what providers share'),
};

function nupkg(files: Record<string, Uint8Array> = {}): Uint8Array {
  const native = 'runtimes/linux-x64/native';
  return zipSync({
    [`${native}/libonnxruntime_providers_cuda.so`]: [libraries.cuda, { level: 9 }],
    [`${native}/libonnxruntime_providers_shared.so`]: [libraries.shared, { level: 0 }],
    [`${native}/libonnxruntime_providers_tensorrt.so`]: Buffer.from('not wanted'),
    'Microsoft.ML.OnnxRuntime.Gpu.Linux.nuspec': Buffer.from('<package/>'),
    ...files,
  });
}

async function bench(bytes = nupkg()) {
  const dataDir = mkdtempSync(join(tmpdir(), 'hearthlend-cuda-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const nuget = await FakeNuget.open(version, bytes);
  onTestFinished(() => nuget.close());
  const steps: AddCudaProgress[] = [];
  const parts = { nodePath: process.execPath, workerScript: join(root, 'dist/worker/native.mjs') };
  let cancelAt = Number.POSITIVE_INFINITY;
  const add = () => {
    const cancelling = new AbortController();
    const onProgress = (step: AddCudaProgress) => {
      steps.push(step);
      if (step.step === 'fetching' && step.bytes >= cancelAt) cancelling.abort();
    };
    return addBackend({ dataDir, parts, feed: nuget.index, proxy: {}, signal: cancelling.signal, onProgress });
  };
  const breakAt = (bytes: number) => {
    cancelAt = bytes;
  };
  const folder = join(dataDir, 'backends', `onnxruntime-${version}-cuda12`);
  return { dataDir, nuget, steps, add, folder, breakAt };
}
const kept = (dataDir: string) => readdirSync(join(dataDir, 'backends'));

test("the package, its feed and the files in it are those of onnxruntime-node's own install script", () => {
  const metadata = createRequire(import.meta.url)(join(root, 'node_modules/onnxruntime-node/script/install-metadata.js')) as {
    manifests: Record<string, Record<string, { package: string; path: string }>>;
    packages: Record<string, { name: string; versions: { feed: string; version: string }[] }>;
    feeds: Record<string, { index: string }>;
  };
  const manifest = metadata.manifests['linux/x64:cuda12'] ?? {};
  const chosen = metadata.packages[manifest['./libonnxruntime_providers_cuda.so']?.package ?? ''];
  expect(chosen).toMatchObject({ name: CUDA_PACKAGE, versions: [{ feed: 'nuget', version }] });
  expect(metadata.feeds.nuget?.index).toBe(NUGET);
  for (const { name, path } of CUDA_FILES) expect(manifest[`./${name}`]?.path).toBe(path);
});

test.runIf(onLinux)(
  'what CUDA needs is fetched, checked against the published digest, and is there whole; a second time nothing is',
  async () => {
    const { dataDir, nuget, steps, add, folder } = await bench();
    expect(await add()).toEqual({ version, bytes: libraries.cuda.length + libraries.shared.length });
    expect(readdirSync(folder).sort()).toEqual(CUDA_FILES.map(({ name }) => name));
    expect(readFileSync(join(folder, 'libonnxruntime_providers_cuda.so')).equals(libraries.cuda)).toBe(true);
    expect(readFileSync(join(folder, 'libonnxruntime_providers_shared.so')).equals(libraries.shared)).toBe(true);
    expect(kept(dataDir)).toEqual([`onnxruntime-${version}-cuda12`]);
    expect(steps.at(-1)).toEqual({ step: 'unpacking' });
    expect(steps.filter((step) => step.step === 'fetching').at(-1)).toMatchObject({ bytes: nupkg().length, totalBytes: nupkg().length });
    const asked = nuget.seen.length;
    expect((await add()).bytes).toBe(0);
    expect(nuget.seen).toHaveLength(asked);
  },
);

test.runIf(onLinux)('a worker is given them beside ONNX Runtime, once the driver is there too', async () => {
  const { dataDir, add, folder } = await bench();
  const gpu = { vendor: 'NVIDIA', driver: 'nvidia', mig: null, address: '0000:01:00.0' };
  const find = () => findDevice({ backend: 'cuda', gpu, nodePath: process.execPath, cudaFolder: folder, env: {}, platform: 'linux' });
  expect(await find()).toMatchObject({ ok: false, reason: { key: 'backend.cuda-not-added' } });
  await add();
  const found = await find();
  // This machine may have a driver or not; the libraries are no longer what is missing.
  if (!found.ok) expect(messageOf(found.reason)).not.toContain('not added');
  else expect(found.access).toMatchObject({ ...NO_DEVICE, providers: CUDA_FILES.map(({ name }) => join(folder, name)) });
  expect(kept(dataDir)).toHaveLength(1);
});

test.runIf(onLinux)('a download that was broken off goes on where it ended', async () => {
  const { nuget, add, breakAt, dataDir } = await bench();
  nuget.holdAfter = 1000;
  breakAt(1000);
  expect((await failure(add())).code).toBe('CANCELLED');
  nuget.holdAfter = Number.POSITIVE_INFINITY;
  breakAt(Number.POSITIVE_INFINITY);
  await add();
  expect(nuget.seen.flatMap(({ path, range }) => (path.endsWith('.nupkg') ? [range] : []))).toEqual([undefined, 'bytes=1000-']);
  expect(kept(dataDir)).toHaveLength(1);
});

test.runIf(onLinux)('what does not have the published digest, size or content is not installed', async () => {
  const refused = async (bytes: Uint8Array, lie?: FakeNuget['lie']) => {
    const { nuget, add, dataDir } = await bench(bytes);
    if (lie !== undefined) nuget.lie = lie;
    const found = await failure(add());
    expect(kept(dataDir).filter((name) => !name.includes('nupkg'))).toEqual([]);
    return found.code;
  };
  const changed =
    (fields: object): FakeNuget['lie'] =>
    (path, document) =>
      path.includes('catalog') ? { ...document, ...fields } : document;
  expect(await refused(nupkg(), changed({ packageHash: Buffer.alloc(64, 1).toString('base64') }))).toBe('DIGEST_MISMATCH');
  expect(await refused(nupkg(), changed({ packageSize: 10 }))).toBe('DOWNLOAD_SIZE_WRONG');
  expect(await refused(nupkg(), changed({ packageHashAlgorithm: 'MD5' }))).toBe('BACKEND_DOWNLOAD_INVALID');
  expect(await refused(nupkg(), changed({ id: 'Left.Pad' }))).toBe('BACKEND_DOWNLOAD_INVALID');
  expect(await refused(nupkg(), (_path, document) => ({ ...document, resources: [] }))).toBe('BACKEND_DOWNLOAD_INVALID');
  expect(await refused(zipSync({ 'a.txt': Buffer.from('a') }))).toBe('BACKEND_DOWNLOAD_INVALID');
  expect(await refused(Buffer.alloc(5000, 7))).toBe('BACKEND_DOWNLOAD_INVALID');
  const damaged = Buffer.from(nupkg());
  damaged.fill(0xa5, 80, 120);
  expect(await refused(damaged)).toBe('BACKEND_DOWNLOAD_INVALID');
  const foreign: FakeNuget['lie'] = (path, document) =>
    path.includes('registration') ? { ...document, catalogEntry: 'ftp://x/y' } : document;
  expect(await refused(nupkg(), foreign)).toBe('BACKEND_DOWNLOAD_INVALID');
});

test.runIf(onLinux)('a version that the feed does not have is not replaced by another', async () => {
  const { nuget, add } = await bench();
  nuget.lie = (path, document) => (path.includes('catalog') ? { ...document, version: '1.29.0' } : document);
  expect(await failure(add())).toMatchObject({ code: 'BACKEND_DOWNLOAD_INVALID', params: { detail: expect.stringContaining('1.29.0') } });
});

test('a machine for which there is no CUDA provider is told so before anything is fetched', async () => {
  const { dataDir, nuget } = await bench();
  const request = { onnxruntime: version, feed: new URL(nuget.index), folder: join(dataDir, 'x'), readJson: async () => ({}) };
  const add = (platform: NodeJS.Platform, arch: string) =>
    failure(addCuda({ ...request, platform, arch, bring: async () => undefined, onProgress: () => undefined }));
  expect(await add('darwin', 'arm64')).toMatchObject({ code: 'BACKEND_UNKNOWN' });
  expect(await add('linux', 'arm64')).toMatchObject({ code: 'BACKEND_UNKNOWN' });
  expect(nuget.seen).toEqual([]);
});

test.runIf(onLinux)('what an interrupted try left half unpacked is swept, and a folder without all of it is replaced', async () => {
  const { dataDir, add, folder } = await bench();
  mkdirSync(`${folder}.new-abc`, { recursive: true });
  mkdirSync(folder);
  writeFileSync(join(folder, 'libonnxruntime_providers_cuda.so'), 'half');
  await add();
  expect(kept(dataDir)).toEqual([`onnxruntime-${version}-cuda12`]);
  expect(readFileSync(join(folder, 'libonnxruntime_providers_cuda.so')).equals(libraries.cuda)).toBe(true);
});

test.runIf(onLinux)('a feed that is not on this machine has to be https', async () => {
  const { dataDir } = await bench();
  const parts = { nodePath: process.execPath, workerScript: join(root, 'dist/worker/native.mjs') };
  const signal = new AbortController().signal;
  const add = (feed: string) => failure(addBackend({ dataDir, parts, feed, proxy: {}, signal, onProgress: () => undefined }));
  expect((await add('http://feed.example/index.json')).code).toBe('USAGE');
  expect((await add('nonsense')).code).toBe('USAGE');
});
