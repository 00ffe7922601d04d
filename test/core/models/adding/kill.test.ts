import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { createModelStore } from '../../../../core/models/store.ts';
import { openBench, REPOSITORY, split } from './workbench.ts';

const PROCESS = join(import.meta.dirname, '../../../fakes/adding-process.ts');
const KILLS = 12;

test('killed at any instant, an added model is there as a whole or not at all, and in the end it is there', async () => {
  const bench = await openBench({ diskBytes: 1 << 30 });
  const { graph, data } = split('model.onnx_data', 1_000_000);
  const source = `hf:${REPOSITORY}`;
  let revision = 0;
  /** A new model each time: files that are the same have come already. */
  const publish = () => {
    revision += 1;
    const changed = data.slice();
    changed[0] = revision;
    bench.hub.publish(REPOSITORY, {
      'model.onnx': graph,
      'model.onnx_data': changed,
      'config.json': new TextEncoder().encode(`{"n":${revision}}`),
    });
  };
  publish();
  let added = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    // Some die while bytes come, some when all are here and are being placed.
    const killAt = kill % 3 === 0 ? Math.floor(data.byteLength * (1 - kill / 100)) : Math.floor(Math.random() * data.byteLength);
    const child = spawn(process.execPath, [PROCESS, bench.dir, bench.hub.endpoint, source], { stdio: ['ignore', 'pipe', 'inherit'] });
    let done = false;
    createInterface(child.stdout).on('line', (line) => {
      if (line === 'done') done = true;
      else if (Number(line) >= killAt) setTimeout(() => child.kill('SIGKILL'), kill % 3 === 0 ? Math.random() * 20 : 0);
    });
    await once(child, 'close');

    const store = await createModelStore({ dir: bench.dir, diskBytes: 1 << 30 });
    const models = store.added();
    expect(models.length).toBeGreaterThanOrEqual(added + (done ? 1 : 0));
    added = models.length;
    for (const { digest } of models) {
      const stored = await store.ensure({ digest, bytes: 0 }, () => Promise.reject(new Error('something of it is missing')));
      expect(stored.files.size).toBe(3);
      stored.release();
    }
    if (done) publish();
  }
  const last = await bench.add();
  const store = await createModelStore({ dir: bench.dir, diskBytes: 1 << 30 });
  expect(store.added().map(({ digest }) => digest)).toContain(last.digest);
  expect(bench.hub.seen.some(({ headers }) => headers.range !== undefined)).toBe(true);
});
