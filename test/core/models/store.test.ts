import { createHash, randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { access, appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type BlobRef, canonicalJson, type Sha256 } from '../../../core/contract/digest.ts';
import { HearthlendError } from '../../../core/contract/errors.ts';
import type { ModelManifest } from '../../../core/contract/model.ts';
import type { BlobSource } from '../../../core/contract/network.ts';
import { chooseEvictions } from '../../../core/models/eviction.ts';
import { createModelStore, type ModelStore, type StoredModel } from '../../../core/models/store.ts';

const sha256 = (data: Uint8Array): Sha256 => createHash('sha256').update(data).digest('hex');
const blobRef = (data: Uint8Array): BlobRef => ({ digest: sha256(data), bytes: data.byteLength });

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hearthlend-store-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const open = (diskBytes = 1 << 20, stallMs = 10_000): Promise<ModelStore> =>
  createModelStore({ dir: join(root, 'store'), diskBytes, stallMs });

/** A network that streams what it was given, in small chunks, and counts what was asked of it. */
class Source {
  readonly blobs = new Map<Sha256, Uint8Array>();
  readonly asked: Array<{ digest: Sha256; offset: number }> = [];
  chunkBytes = 1000;

  model(files: Record<string, Uint8Array>, entry = Object.keys(files)[0] as string): BlobRef {
    const manifest: ModelManifest = {
      format: 'onnx',
      entry,
      files: Object.entries(files).map(([path, data]) => ({ path, bytes: data.byteLength, digest: this.put(data) })),
    };
    const bytes = new TextEncoder().encode(canonicalJson(manifest));
    this.put(bytes);
    return blobRef(bytes);
  }

  put(data: Uint8Array): Sha256 {
    this.blobs.set(sha256(data), data);
    return sha256(data);
  }

  readonly fetch = async (digest: Sha256, offset: number): Promise<BlobSource> => {
    this.asked.push({ digest, offset });
    const data = this.blobs.get(digest);
    if (data === undefined) throw new HearthlendError('BLOB_MISSING', { digest });
    return { type: 'stream', stream: this.chunks(data, offset) };
  };

  async *chunks(data: Uint8Array, offset: number): AsyncGenerator<Uint8Array> {
    for (let at = offset; at < data.byteLength; at += this.chunkBytes) yield data.subarray(at, at + this.chunkBytes);
  }

  offsets(digest: Sha256): number[] {
    return this.asked.filter((each) => each.digest === digest).map((each) => each.offset);
  }
}

const bytesOf = async (model: StoredModel, path: string): Promise<Buffer> => readFile(model.files.get(path) as string);
const there = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
const storeFiles = async (folder: string): Promise<string[]> => readdir(join(root, 'store', folder));

test('a model comes by digest, verified, and is there the next time without being asked for', async () => {
  const source = new Source();
  const [graph, weights] = [randomBytes(5000), randomBytes(100_000)];
  const ref = source.model({ 'model.onnx': graph, 'parts/w.bin': weights, 'copy.bin': weights });
  const store = await open();
  const first = await store.ensure(ref, source.fetch);
  expect(first).toMatchObject({ digest: ref.digest, manifest: { entry: 'model.onnx' } });
  expect(await bytesOf(first, 'parts/w.bin')).toEqual(weights);
  expect(first.files.get('copy.bin')).toBe(first.files.get('parts/w.bin'));
  expect(store.usedBytes()).toBe(105_000);
  first.release();
  const asked = source.asked.length;
  await (await store.ensure(ref, source.fetch)).release();
  expect(source.asked.length).toBe(asked);
  const again = await (await open()).ensure(ref, source.fetch);
  expect(await bytesOf(again, 'model.onnx')).toEqual(graph);
  expect(source.asked.length).toBe(asked);
});

test('calls for one model at the same time share one fetch, and two models share the files that they have in common', async () => {
  const source = new Source();
  const common = randomBytes(50_000);
  const [one, two] = [source.model({ 'a.onnx': common, x: randomBytes(10) }), source.model({ 'b.onnx': common })];
  const store = await open();
  const models = await Promise.all([one, one, two, one].map((ref) => store.ensure(ref, source.fetch)));
  expect(new Set(models.map(({ digest }) => digest)).size).toBe(2);
  expect(source.offsets(sha256(common))).toEqual([0]);
  expect(source.offsets(one.digest)).toEqual([0]);
});

test('a file of this machine is linked and not copied, takes no disk, and its link goes with the last release', async () => {
  const source = new Source();
  const weights = randomBytes(20_000);
  const original = join(root, 'weights.bin');
  await writeFile(original, weights);
  const ref = source.model({ 'model.onnx': weights });
  const fetch = async (digest: Sha256, offset: number): Promise<BlobSource> =>
    digest === sha256(weights) ? { type: 'file', path: original } : source.fetch(digest, offset);
  const store = await open(100);
  const [first, second] = await Promise.all([store.ensure(ref, fetch), store.ensure(ref, fetch)]);
  const path = first.files.get('model.onnx') as string;
  expect((await stat(path)).ino).toBe((await stat(original)).ino);
  expect(store.usedBytes()).toBe(0);
  first.release();
  first.release();
  expect(await there(path)).toBe(true);
  second.release();
  expect(await there(path)).toBe(false);
  expect(await readFile(original)).toEqual(weights);
  const third = await store.ensure(ref, fetch);
  expect(await bytesOf(third, 'model.onnx')).toEqual(weights);
});

test('a file of this machine that is not what it was promised to be is refused, and left alone', async () => {
  const source = new Source();
  const weights = randomBytes(2000);
  const original = join(root, 'weights.bin');
  await writeFile(original, randomBytes(2000));
  const ref = source.model({ 'model.onnx': weights });
  const fetch = async (digest: Sha256, offset: number): Promise<BlobSource> =>
    digest === sha256(weights) ? { type: 'file', path: original } : source.fetch(digest, offset);
  const store = await open();
  await expect(store.ensure(ref, fetch)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  expect(await storeFiles('linked')).toEqual([]);
  await rm(original);
  await expect(store.ensure(ref, fetch)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
});

test('a stream that ends early is asked again from where it ended, in this try and in the next process', async () => {
  const source = new Source();
  const weights = randomBytes(10_000);
  const ref = source.model({ 'model.onnx': weights });
  const digest = sha256(weights);
  const cutAt =
    (end: number) =>
    async (wanted: Sha256, offset: number): Promise<BlobSource> => {
      const whole = await source.fetch(wanted, offset);
      if (wanted !== digest) return whole;
      return { type: 'stream', stream: source.chunks(weights.subarray(0, end), offset) };
    };
  const store = await open();
  await expect(store.ensure(ref, cutAt(4000))).rejects.toMatchObject({ code: 'BLOB_TRUNCATED', params: { bytes: 4000, expected: 10_000 } });
  expect(source.offsets(digest)).toEqual([0, 4000]);
  let opened = 0;
  const inPieces = (wanted: Sha256, offset: number) => cutAt(5000 + 2000 * opened++)(wanted, offset);
  const model = await (await open()).ensure(ref, inPieces);
  expect(await bytesOf(model, 'model.onnx')).toEqual(weights);
  expect(source.offsets(digest).slice(2)[0]).toBe(4000);
  expect(await storeFiles('parts')).toEqual([]);
});

test('wrong bytes are refused by digest and nothing of them is kept', async () => {
  const source = new Source();
  const weights = randomBytes(3000);
  const ref = source.model({ 'model.onnx': weights });
  source.blobs.set(sha256(weights), randomBytes(3000));
  const store = await open();
  await expect(store.ensure(ref, source.fetch)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  expect([await storeFiles('parts'), await storeFiles('blobs')]).toEqual([[], []]);
  expect(store.usedBytes()).toBe(0);
  source.put(weights);
  expect(await bytesOf(await store.ensure(ref, source.fetch), 'model.onnx')).toEqual(weights);
});

test('a bad beginning left by an earlier try is fetched once more from the start', async () => {
  const source = new Source();
  const weights = randomBytes(3000);
  const ref = source.model({ 'model.onnx': weights });
  const store = await open();
  await writeFile(join(root, 'store', 'parts', `${sha256(weights)}.part`), randomBytes(1000));
  expect(await bytesOf(await store.ensure(ref, source.fetch), 'model.onnx')).toEqual(weights);
  expect(source.offsets(sha256(weights))).toEqual([1000, 0]);
});

test('a part that was all there before a crash is used without asking again, and an empty file is never asked for', async () => {
  const source = new Source();
  const [weights, empty] = [randomBytes(3000), new Uint8Array(0)];
  const ref = source.model({ 'model.onnx': weights, 'empty.bin': empty });
  const store = await open();
  await writeFile(join(root, 'store', 'parts', `${sha256(weights)}.part`), weights);
  const model = await store.ensure(ref, source.fetch);
  expect(await bytesOf(model, 'model.onnx')).toEqual(weights);
  expect((await bytesOf(model, 'empty.bin')).byteLength).toBe(0);
  expect(source.asked.map(({ digest }) => digest)).toEqual([ref.digest]);
});

test('whatever is asked for, held and released at the same time: what is held is whole, and the quota is kept', async () => {
  const blobs = Array.from({ length: 6 }, (_, at) => randomBytes(1000 * (at + 1)));
  const sets = [[0], [1, 2], [0, 3], [4], [5, 0], [2, 3, 4]];
  const source = new Source();
  source.chunkBytes = 700;
  const refs = sets.map((set) => source.model(Object.fromEntries(set.map((at) => [`${at}.bin`, blobs[at] as Buffer]))));
  const linked = join(root, 'linked.bin');
  await writeFile(linked, blobs[3] as Buffer);
  const fetch = async (digest: Sha256, offset: number): Promise<BlobSource> =>
    digest === sha256(blobs[3] as Buffer) ? { type: 'file', path: linked } : source.fetch(digest, offset);
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(fc.nat(sets.length - 1), { minLength: 2, maxLength: 12 }), async (scheduler, wanted) => {
      const store = await open(12_000);
      const slowly = scheduler.scheduleFunction(fetch);
      const turns = wanted.map(async (at) => {
        const model = await store.ensure(refs[at] as BlobRef, slowly).catch((error: HearthlendError) => {
          expect(error.code).toBe('MODEL_TOO_LARGE');
        });
        if (!model) return;
        await scheduler.schedule(Promise.resolve());
        for (const [path, file] of model.files)
          expect(Buffer.compare(await readFile(file), blobs[Number.parseInt(path, 10)] as Buffer)).toBe(0);
        expect(store.usedBytes()).toBeLessThanOrEqual(12_000);
        model.release();
      });
      await scheduler.waitFor(Promise.all(turns));
      const sizes = await Promise.all(
        (await storeFiles('blobs')).map(async (name) => (await stat(join(root, 'store', 'blobs', name))).size),
      );
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(store.usedBytes());
      expect(await storeFiles('linked')).toEqual([]);
    }),
    { numRuns: 100 },
  );
});

test('no more than the announced bytes are ever taken from a stream', async () => {
  const source = new Source();
  const weights = randomBytes(3000);
  const ref = source.model({ 'model.onnx': weights });
  let given = 0;
  let closed = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        yield given < 3000 ? weights.subarray(given, given + 1000) : randomBytes(1000);
        given += 1000;
      }
    } finally {
      closed = true;
    }
  }
  const fetch = async (digest: Sha256, offset: number): Promise<BlobSource> =>
    digest === sha256(weights) ? { type: 'stream', stream: endless() } : source.fetch(digest, offset);
  expect(await bytesOf(await (await open()).ensure(ref, fetch), 'model.onnx')).toEqual(weights);
  expect(given).toBeLessThanOrEqual(3000);
  expect(closed).toBe(true);
});

test('a stream that falls silent is given up', async () => {
  const source = new Source();
  const weights = randomBytes(3000);
  const ref = source.model({ 'model.onnx': weights });
  const fetch = async (digest: Sha256, offset: number): Promise<BlobSource> =>
    digest === sha256(weights) ? { type: 'stream', stream: silent() } : source.fetch(digest, offset);
  await expect((await open(1 << 20, 20)).ensure(ref, fetch)).rejects.toMatchObject({ code: 'BLOB_TRUNCATED' });
});

async function* silent(): AsyncGenerator<Uint8Array> {
  await new Promise<never>(() => undefined);
  yield new Uint8Array(1);
}

test('a file that was changed behind the store is found at the next start and fetched again', async () => {
  const source = new Source();
  const weights = randomBytes(3000);
  const ref = source.model({ 'model.onnx': weights });
  const store = await open();
  const model = await store.ensure(ref, source.fetch);
  const path = model.files.get('model.onnx') as string;
  model.release();
  const damaged = Uint8Array.from(weights);
  damaged[1500] = (damaged[1500] as number) ^ 1;
  await writeFile(path, damaged);
  await utimes(path, 1_000_000_000, 1_000_000_000);
  expect(await bytesOf(await (await open()).ensure(ref, source.fetch), 'model.onnx')).toEqual(weights);
  await appendFile(path, 'x');
  expect(await bytesOf(await (await open()).ensure(ref, source.fetch), 'model.onnx')).toEqual(weights);
});

test('the least recently used model makes room, never one in use', async () => {
  const source = new Source();
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => source.model({ [`${name}.onnx`]: randomBytes(4000) })) as [
    BlobRef,
    BlobRef,
    BlobRef,
    BlobRef,
  ];
  const store = await open(10_000);
  const heldA = await store.ensure(a, source.fetch);
  (await store.ensure(b, source.fetch)).release();
  const heldC = await store.ensure(c, source.fetch);
  expect(store.usedBytes()).toBe(8000);
  expect(await there(heldA.files.get('a.onnx') as string)).toBe(true);
  await expect(store.ensure(d, source.fetch)).rejects.toMatchObject({ code: 'MODEL_TOO_LARGE', params: { bytes: 4000, limit: 2000 } });
  heldA.release();
  heldC.release();
  (await store.ensure(a, source.fetch)).release();
  (await store.ensure(d, source.fetch)).release();
  const known = (await storeFiles('models')).map((name) => name.replace('.json', '')).sort();
  expect(known).toEqual([a.digest, d.digest].sort());
  const lowered = await open(5000);
  expect(lowered.usedBytes()).toBe(4000);
  expect(await storeFiles('models')).toEqual([`${d.digest}.json`]);
});

test('a model larger than the quota is refused before anything of it is written', async () => {
  const source = new Source();
  const ref = source.model({ 'model.onnx': randomBytes(4000) });
  const store = await open(3999);
  await expect(store.ensure(ref, source.fetch)).rejects.toMatchObject({ code: 'MODEL_TOO_LARGE' });
  expect([await storeFiles('parts'), await storeFiles('blobs'), await storeFiles('models')]).toEqual([[], [], []]);
});

test('old part files and files that no manifest names are cleared away at the start, young ones stay', async () => {
  await open();
  const parts = join(root, 'store', 'parts');
  await writeFile(join(parts, 'old.part'), 'x');
  await writeFile(join(parts, 'young.part'), 'x');
  const weeksAgo = new Date(Date.now() - 14 * 86_400_000);
  await utimes(join(parts, 'old.part'), weeksAgo, weeksAgo);
  await writeFile(join(root, 'store', 'blobs', 'a'.repeat(64)), 'x');
  await writeFile(join(root, 'store', 'models', `${'b'.repeat(64)}.json`), '{}');
  await mkdir(join(root, 'store', 'linked', 'x'));
  const store = await open();
  expect(await storeFiles('parts')).toEqual(['young.part']);
  expect([await storeFiles('blobs'), await storeFiles('models'), await storeFiles('linked')]).toEqual([[], [], []]);
  expect(store.usedBytes()).toBe(0);
});

const entry = (path: string, data = new Uint8Array(1)) => ({ path, bytes: data.byteLength, digest: sha256(data) });
test.each<[string, unknown, string]>([
  ['no JSON', 'x', 'malformed'],
  ['no manifest', { format: 'gguf' }, 'malformed'],
  ['a path out of the model', { format: 'onnx', entry: '../x', files: [entry('../x')] }, 'malformed'],
  ['a path twice', { format: 'onnx', entry: 'a', files: [entry('a'), entry('a')] }, 'twice'],
  ['paths that differ in case alone', { format: 'onnx', entry: 'a', files: [entry('a'), entry('A')] }, 'twice'],
  ['a file that is a folder too', { format: 'onnx', entry: 'a', files: [entry('a'), entry('a/b')] }, 'as a file and as a folder'],
  ['no entry among its files', { format: 'onnx', entry: 'b', files: [entry('a')] }, 'entry'],
  ['two sizes of one digest', { format: 'onnx', entry: 'a', files: [entry('a'), { ...entry('b'), bytes: 2 }] }, 'disagrees'],
])('a manifest with %s is refused', async (_what, manifest, detail) => {
  const source = new Source();
  const bytes = new TextEncoder().encode(canonicalJson(manifest));
  source.put(bytes);
  await expect((await open()).ensure(blobRef(bytes), source.fetch)).rejects.toMatchObject({
    code: 'MODEL_INVALID',
    params: { detail: expect.stringContaining(detail) },
  });
});

test('a manifest that is not canonical, or too long, is refused', async () => {
  const source = new Source();
  const loose = new TextEncoder().encode(JSON.stringify({ format: 'onnx', files: [entry('a')], entry: 'a' }));
  source.put(loose);
  const store = await open();
  await expect(store.ensure(blobRef(loose), source.fetch)).rejects.toMatchObject({
    params: { detail: expect.stringContaining('canonical') },
  });
  await expect(store.ensure({ digest: 'a'.repeat(64), bytes: 2 ** 30 }, source.fetch)).rejects.toMatchObject({ code: 'MODEL_INVALID' });
});

test.runIf(existsSync('/dev/full'))('a full disk is told by its name and gets back what was written', async () => {
  const source = new Source();
  const weights = randomBytes(3000);
  const ref = source.model({ 'model.onnx': weights });
  const store = await open();
  await symlink('/dev/full', join(root, 'store', 'parts', `${sha256(weights)}.part`));
  await expect(store.ensure(ref, source.fetch)).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect(await storeFiles('parts')).toEqual([]);
  expect(store.usedBytes()).toBe(0);
  expect(await bytesOf(await store.ensure(ref, source.fetch), 'model.onnx')).toEqual(weights);
});

const otherDisk = '/dev/shm';
test.runIf(existsSync(otherDisk) && statSync(otherDisk).dev !== statSync(tmpdir()).dev)(
  'a file on another disk is copied, counted and kept',
  async () => {
    const source = new Source();
    const weights = randomBytes(3000);
    const folder = await mkdtemp(join(otherDisk, 'hearthlend-store-'));
    try {
      await writeFile(join(folder, 'weights.bin'), weights);
      const ref = source.model({ 'model.onnx': weights });
      const fetch = async (digest: Sha256, offset: number): Promise<BlobSource> =>
        digest === sha256(weights) ? { type: 'file', path: join(folder, 'weights.bin') } : source.fetch(digest, offset);
      const store = await open();
      const model = await store.ensure(ref, fetch);
      model.release();
      expect(await bytesOf(model, 'model.onnx')).toEqual(weights);
      expect(store.usedBytes()).toBe(3000);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);

test('a folder that can not be written is told by its name', async () => {
  await writeFile(join(root, 'store'), 'a file');
  await expect(open()).rejects.toMatchObject({ code: 'DATA_DIR_UNWRITABLE' });
});

test('eviction frees enough with the oldest idle models, or nothing at all', () => {
  const model = fc.record({
    digest: fc.uuid(),
    lastUsed: fc.nat(100),
    inUse: fc.boolean(),
    blobs: fc.array(fc.constantFrom('p', 'q', 'r', 's', 't', 'u'), { minLength: 1, maxLength: 4 }),
  });
  const sizes = new Map([...'pqrst'].map((name, at) => [name, 10 ** at]));
  fc.assert(
    fc.property(fc.uniqueArray(model, { selector: ({ digest }) => digest, maxLength: 8 }), fc.nat(12_000), (models, wanted) => {
      const taken = (kept: typeof models): number =>
        [...new Set(kept.flatMap(({ blobs }) => blobs))].reduce((sum, blob) => sum + (sizes.get(blob) ?? 0), 0);
      const chosen = chooseEvictions(models, sizes, wanted);
      const idleGone = taken(models) - taken(models.filter(({ inUse }) => inUse));
      if (chosen === null) {
        expect(idleGone).toBeLessThan(wanted);
        return;
      }
      const gone = models.filter(({ digest }) => chosen.includes(digest));
      expect(gone.some(({ inUse }) => inUse)).toBe(false);
      expect(taken(models) - taken(models.filter(({ digest }) => !chosen.includes(digest)))).toBeGreaterThanOrEqual(wanted);
      const newest = Math.max(...gone.map(({ lastUsed }) => lastUsed));
      const spared = models.filter(
        ({ digest, inUse, blobs }) => !inUse && !chosen.includes(digest) && blobs.some((blob) => sizes.has(blob)),
      );
      expect(spared.every(({ lastUsed }) => gone.length === 0 || lastUsed >= newest)).toBe(true);
    }),
  );
});
