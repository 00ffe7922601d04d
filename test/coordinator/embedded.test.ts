import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { describeNetwork } from './network-contract.ts';
import { handIn, runRequest, takeLease, Workbench } from './workbench.ts';

describeNetwork('the embedded coordinator', {
  open: (bench, options) => bench.open(options),
  blobs: (bench) => readdirSync(join(bench.dir, 'blobs')).length,
});

test('an acceptance that the disk could not take is made good when the result is sent again, and given up when it is not', async () => {
  const bench = new Workbench();
  const network = await bench.open();
  const db = new Database(join(bench.dir, 'coordinator.db'));
  const first = await takeLease(network);
  const second = await takeLease(network);
  db.exec("CREATE TRIGGER refusal BEFORE INSERT ON receipts BEGIN SELECT RAISE(ABORT, 'no room'); END");
  for (const lease of [first, second])
    await expect(handIn(network, lease)).rejects.toMatchObject({ code: 'INTERNAL', params: { detail: 'no room' } });
  db.exec('DROP TRIGGER refusal');
  db.close();
  expect(await handIn(network, first)).toMatchObject({ type: 'accepted', receipt: { sequence: 1 } });
  bench.pass(60_000);
  expect(await takeLease(network)).toMatchObject({ shard: second.shard, attempt: 2 });
  await bench.dispose();
});

test('a job whose model is no model is refused with a code', async () => {
  const bench = new Workbench();
  const network = await bench.open();
  const model = { manifest: { format: 'onnx' as const, entry: '../escape', files: [] }, files: new Map() };
  await expect(network.submitJob(runRequest(model))).rejects.toMatchObject({ code: 'MODEL_INVALID' });
  await bench.dispose();
});
