import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { createModelStore } from '../../../../core/models/store.ts';
import { give, sha256Of } from '../../../fakes/hub.ts';
import { model, node, value } from '../../../fixtures/onnx-writer.ts';
import { openBench, published, REPOSITORY, split } from './workbench.ts';

const EXPECTED_PATHS = ['config.json', 'generation_config.json', 'onnx/model.onnx', 'onnx/model.onnx_data', 'tokenizer.json'];

test('a model of a hub is looked at before anything is fetched: files, sizes, digests, licence and commit', async () => {
  const bench = await openBench();
  const files = published();
  const commit = bench.hub.publish(REPOSITORY, files, { licence: 'apache-2.0' });
  const plan = await bench.plan();
  expect(plan).toMatchObject({
    name: `hf:${REPOSITORY}#onnx/model.onnx`,
    licence: 'apache-2.0',
    entry: 'onnx/model.onnx',
    origin: { type: 'hub', repository: REPOSITORY, requested: null, revision: commit },
  });
  expect(plan.files.map(({ path }) => path).sort()).toEqual(EXPECTED_PATHS);
  const data = files['onnx/model.onnx_data'] as Uint8Array;
  expect(plan.files).toContainEqual({ path: 'onnx/model.onnx_data', bytes: data.byteLength, digest: `sha256:${sha256Of(data)}` });
  expect(plan.totalBytes).toBe(EXPECTED_PATHS.reduce((sum, path) => sum + (files[path] as Uint8Array).byteLength, 0));
  expect(bench.contents()).toEqual({});
  expect(bench.hub.seen.every(({ path }) => path.startsWith('/api/'))).toBe(true);
});

test('an added model is there with its external data and its configuration, and still there after a start', async () => {
  const bench = await openBench();
  const files = published();
  bench.hub.publish(REPOSITORY, files);
  const progress: number[] = [];
  const added = await bench.add({}, { onProgress: ({ bytes, totalBytes }) => void progress.push(bytes / totalBytes) });
  expect(added.files.map(({ path }) => path)).toEqual(EXPECTED_PATHS);
  expect(progress.at(-1)).toBe(1);
  expect(Math.max(...progress)).toBe(1);

  const again = await createModelStore({ dir: bench.dir, diskBytes: 10 << 20 });
  expect(again.owned.added()).toEqual([added]);
  const stored = await again.ensure({ digest: added.digest, bytes: 0 }, () => Promise.reject(new Error('nothing is fetched')));
  for (const path of EXPECTED_PATHS) expect(readFileSync(stored.files.get(path) as string)).toEqual(Buffer.from(files[path] as Uint8Array));
  expect(Object.keys(bench.contents()).filter((path) => path.startsWith('downloads'))).toEqual([]);
});

test('what is in the store already is not fetched again', async () => {
  const bench = await openBench();
  bench.hub.publish(REPOSITORY, published());
  const added = await bench.add();
  const before = bench.hub.asked('model.onnx_data').length;
  expect((await bench.add()).digest).toBe(added.digest);
  expect(bench.hub.asked('model.onnx_data')).toHaveLength(before);
});

test('files come from the commit that was looked at, though the branch moves on in between', async () => {
  const bench = await openBench();
  const files = published();
  const first = bench.hub.publish(REPOSITORY, files);
  const plan = await bench.plan();
  bench.hub.publish(REPOSITORY, { ...files, 'config.json': new TextEncoder().encode('{"moved":true}') });
  const pinned = await bench.add({ pin: plan.origin.type === 'hub' ? plan.origin.revision : null });
  expect(pinned.origin).toMatchObject({ revision: first, requested: null });

  // And when it moves after the list was sent, before the first file is asked for.
  bench.hub.onDescribed = () => {
    bench.hub.onDescribed = () => undefined;
    bench.hub.publish(REPOSITORY, { ...files, 'config.json': new TextEncoder().encode('{"again":true}') });
  };
  const moved = await bench.add();
  const config = moved.files.find(({ path }) => path === 'config.json')?.digest as string;
  expect(readFileSync(bench.store.owned.pathOf(config), 'utf8')).toBe('{"moved":true}');
});

test('a hub that answers another commit than the one asked for is refused', async () => {
  const bench = await openBench();
  bench.hub.publish(REPOSITORY, published());
  bench.hub.lie = (description) => ({ ...description, sha: 'ab'.repeat(20) });
  const pin = bench.hub.publish(REPOSITORY, published());
  await expect(bench.add({ pin })).rejects.toMatchObject({ code: 'HUB_ANSWER_INVALID' });
});

test('of several graphs one has to be chosen, and they are named', async () => {
  const bench = await openBench();
  const { graph } = split();
  const inside = model({
    nodes: [node('Relu', ['x'], ['y'])],
    inputs: [value('x', 'float32', ['n'])],
    outputs: [value('y', 'float32', ['n'])],
  });
  bench.hub.publish(REPOSITORY, { 'onnx/model.onnx': graph, 'onnx/model_q4.onnx': inside });
  await expect(bench.plan()).rejects.toMatchObject({
    code: 'MODEL_FILE_UNCLEAR',
    params: { found: 'several', files: ': onnx/model.onnx, onnx/model_q4.onnx' },
  });
  await expect(bench.plan({ file: 'onnx/model_q8.onnx' })).rejects.toMatchObject({ params: { found: 'unknown' } });
  expect((await bench.add({ file: 'onnx/model_q4.onnx' })).name).toBe(`hf:${REPOSITORY}#onnx/model_q4.onnx`);
  expect((await bench.add({ source: `hf:${REPOSITORY}#onnx/model_q4.onnx` })).entry).toBe('onnx/model_q4.onnx');
  bench.hub.publish('someone/none', { 'config.json': new Uint8Array(2) });
  await expect(bench.plan({ source: 'hf:someone/none' })).rejects.toMatchObject({ code: 'MODEL_FILE_UNCLEAR', params: { found: 'none' } });
});

test('a model without a licence is refused until somebody answers for it', async () => {
  const bench = await openBench();
  bench.hub.publish(REPOSITORY, published(), { licence: null });
  await expect(bench.add()).rejects.toMatchObject({ code: 'MODEL_LICENCE_MISSING' });
  expect(bench.contents()).toEqual({});
  expect((await bench.add({ acceptMissingLicence: true })).licence).toBeNull();
});

test('a graph at an address comes with the data beside it, and goes on under its tag where the connection broke', async () => {
  const bench = await openBench();
  const commit = bench.hub.publish(REPOSITORY, published());
  // The store of the fake hub is a plain web server, too.
  await bench.add();
  const base = bench.hub.asked('model.onnx')[0];
  const location = `http://${bench.hub.seen.find(({ host }) => host === 'store')?.headers.host}/${commit}/onnx/model.onnx`;
  expect(base).toBeDefined();
  const { data } = split();
  let broken = false;
  bench.hub.onFile = ({ path, response }) => {
    if (broken || !path.endsWith('_data')) return false;
    broken = true;
    bench.sendPart(response, data, 70_000, 'break', { etag: `"${sha256Of(data)}"` });
    return true;
  };
  const start = bench.hub.seen.length;
  await expect(bench.add({ source: location })).rejects.toMatchObject({ code: 'MODEL_LICENCE_MISSING' });
  const added = await bench.add({ source: location, acceptMissingLicence: true });
  expect(added).toMatchObject({ name: location, origin: { type: 'url' }, entry: 'model.onnx' });
  expect(added.files.map(({ path }) => path)).toEqual(['model.onnx', 'model.onnx_data']);
  const resumed = bench.hub.seen.slice(start).filter(({ headers }) => headers.range !== undefined);
  expect(resumed).toMatchObject([{ headers: { range: expect.stringMatching(/^bytes=\d+-$/), 'if-range': `"${sha256Of(data)}"` } }]);
  await expect(bench.add({ source: `${location}#sha256=${'0'.repeat(64)}`, acceptMissingLicence: true })).rejects.toMatchObject({
    code: 'DIGEST_MISMATCH',
  });
});

test('a model of this machine is copied with what belongs to it, and stays when the original goes', async () => {
  const bench = await openBench();
  const folder = join(bench.dir, '..', 'mine');
  for (const [path, bytes] of Object.entries(published())) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  const added = await bench.add({ source: join(folder, 'onnx/model.onnx') });
  expect(added).toMatchObject({ name: 'model.onnx', licence: null, entry: 'onnx/model.onnx' });
  expect(added.files.map(({ path }) => path)).toEqual(EXPECTED_PATHS);
  expect((await bench.add({ source: folder })).digest).toBe(added.digest);
  rmSync(folder, { recursive: true });
  for (const { digest, bytes } of added.files) expect(await bench.store.owned.claim('test', { digest, bytes })).toBe(true);
  await expect(bench.add({ source: folder })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
});

test('what the owner added is never given up for what a network sends, and says by how much room is short', async () => {
  const bench = await openBench({ diskBytes: 300_000 });
  bench.hub.publish(REPOSITORY, published());
  const added = await bench.add();
  const before = bench.contents();
  bench.hub.publish('someone/more', { 'model.onnx': split('model.onnx_data', 40_000).graph, 'model.onnx_data': new Uint8Array(160_000) });
  const refused = await bench.add({ source: 'hf:someone/more' }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'MODEL_TOO_LARGE', params: { limit: 300_000 - added.bytes } });
  const { bytes, limit, missing } = (refused as { params: Record<'bytes' | 'limit' | 'missing', number> }).params;
  expect(missing).toBe(bytes - limit);
  expect(bench.contents()).toEqual(before);
  expect(bench.hub.asked('someone/more/resolve')).toEqual([]);

  await bench.store.owned.remove(added.digest);
  expect(bench.contents()).toEqual({});
  await bench.add({ source: 'hf:someone/more' });
});

test('where there is room for a model once, it can be added again, and shares what it has in common with another', async () => {
  const bench = await openBench({ diskBytes: 210_000 });
  bench.hub.publish(REPOSITORY, published());
  const first = await bench.add();
  expect((await bench.add()).digest).toBe(first.digest);
  bench.hub.publish(REPOSITORY, { ...published(), 'config.json': new TextEncoder().encode('{"newer":true}') });
  const second = await bench.add();
  expect(bench.store.usedBytes()).toBeLessThan(210_000);
  await bench.store.owned.remove(first.digest);
  const stored = await bench.store.ensure({ digest: second.digest, bytes: 0 }, () => Promise.reject(new Error('nothing is fetched')));
  expect(stored.files.size).toBe(EXPECTED_PATHS.length);
  stored.release();
});

test('an address that gives more than there is room for is cut off there, told or not told beforehand', async () => {
  const bench = await openBench({ diskBytes: 100_000 });
  const commit = bench.hub.publish(REPOSITORY, published());
  const redirect = await fetch(`${bench.hub.endpoint}/${REPOSITORY}/resolve/${commit}/onnx/model.onnx`, { redirect: 'manual' });
  const source = (redirect.headers.get('location') as string).replace(/\?.*/, '');
  for (const told of [true, false]) {
    bench.hub.onFile = ({ path, data, response }) => {
      if (told || !path.endsWith('_data')) return false;
      response.write(data);
      response.end();
      return true;
    };
    await expect(bench.add({ source, acceptMissingLicence: true })).rejects.toMatchObject({ code: 'MODEL_TOO_LARGE' });
    expect(bench.contents()).toEqual({});
  }
});

test('a model in use is not removed', async () => {
  const bench = await openBench();
  bench.hub.publish(REPOSITORY, published());
  const { digest } = await bench.add();
  const held = await bench.store.ensure({ digest, bytes: 0 }, () => Promise.reject(new Error('nothing is fetched')));
  await expect(bench.store.owned.remove(digest)).rejects.toMatchObject({ code: 'MODEL_IN_USE' });
  held.release();
  await bench.store.owned.remove(digest);
  await expect(bench.store.owned.remove(digest)).rejects.toMatchObject({ code: 'MODEL_UNKNOWN' });
});

test('a download that is ended goes on later from what has come', async () => {
  const bench = await openBench();
  bench.hub.publish(REPOSITORY, published());
  const abort = new AbortController();
  bench.hub.onFile = ({ path, data, response }) => {
    if (!path.endsWith('_data')) return false;
    bench.sendPart(response, data, 100_000, 'silence');
    return true;
  };
  const ended = bench.add(
    {},
    {
      signal: abort.signal,
      onProgress: ({ file, bytes }) => {
        if (file.endsWith('_data') && bytes >= 100_000) abort.abort();
      },
    },
  );
  await expect(ended).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(Object.keys(bench.contents()).every((path) => path.startsWith('downloads/'))).toBe(true);
  bench.hub.onFile = () => false;
  await bench.add();
  expect(bench.hub.asked('_data').at(-1)?.headers.range).toBe('bytes=100000-');
});

test('a part of an earlier try that is damaged is fetched again from the start', async () => {
  const bench = await openBench();
  bench.hub.publish(REPOSITORY, published());
  bench.hub.onFile = ({ path, data, response, request }) => {
    if (!path.endsWith('_data') || request.headers.range !== undefined) return false;
    const bad = data.slice();
    bad[5] = (bad[5] as number) ^ 1;
    bench.hub.onFile = (file) => {
      if (!file.path.endsWith('_data')) return false;
      give(file);
      return true;
    };
    bench.sendPart(response, bad, 100_000, 'break');
    return true;
  };
  const added = await bench.add();
  expect(added.files.find(({ path }) => path.endsWith('_data'))?.digest).toBe(sha256Of(split().data));
});
