import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createModelStore } from '../../../../core/models/store.ts';
import { openBench, REPOSITORY, split } from './workbench.ts';

const PROCESS = fileURLToPath(new URL('../../../fakes/adding-process.ts', import.meta.url));
const KILLS = 6;

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
    const placing = kill % 3 === 2;
    const killAt = placing ? data.byteLength : Math.ceil((0.1 + 0.8 * Math.random()) * data.byteLength);
    bench.hub.onFile = ({ path, data: sent, request, response }) => {
      if (placing || !path.endsWith('_data')) return false;
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      const rest = { 'content-length': sent.byteLength - from };
      const partly = { ...rest, 'content-range': `bytes ${from}-${sent.byteLength - 1}/${sent.byteLength}` };
      response.writeHead(from > 0 ? 206 : 200, from > 0 ? partly : rest);
      // And then no more, so that it dies with this much.
      response.write(sent.subarray(from, Math.max(from, killAt)));
      return true;
    };
    const child = spawn(process.execPath, [PROCESS, bench.dir, bench.hub.endpoint, source], { stdio: ['ignore', 'pipe', 'inherit'] });
    let done = false;
    createInterface(child.stdout).on('line', (line) => {
      if (line === 'done') done = true;
      else if (Number(line) >= killAt) setTimeout(() => child.kill('SIGKILL'), placing ? Math.random() * 20 : 0);
    });
    const [code, signal] = await once(child, 'close');
    expect([0, 'SIGKILL']).toContain(code ?? signal);

    const store = await createModelStore({ dir: bench.dir, diskBytes: 1 << 30 });
    const models = store.owned.added();
    expect(models.length).toBeGreaterThanOrEqual(added + (done ? 1 : 0));
    added = models.length;
    for (const { digest } of models) {
      const stored = await store.ensure({ digest, bytes: 0 }, () => Promise.reject(new Error('something of it is missing')));
      expect(stored.files.size).toBe(3);
      stored.release();
    }
    if (placing) publish();
  }
  bench.hub.onFile = () => false;
  const last = await bench.add();
  const store = await createModelStore({ dir: bench.dir, diskBytes: 1 << 30 });
  expect(store.owned.added().map(({ digest }) => digest)).toContain(last.digest);
  expect(bench.hub.seen.some(({ headers }) => headers.range !== undefined)).toBe(true);
});
