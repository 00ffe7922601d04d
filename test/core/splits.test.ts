import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SplitManifest } from '../../core/contract/stages.ts';
import { holdSplit, openSplits, splitFolder } from '../../core/splits.ts';
import { temporaryFolder } from './supervisor/workbench.ts';

const STAGE_BYTES = 100;
const digestOf = (model: number) => String(model).padEnd(64, '0');

/** A cut that writes one stage of STAGE_BYTES. */
function cut(folder: string, model: number): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'stage-1.onnx'), new Uint8Array(STAGE_BYTES));
  const manifest = {
    format: 'onnx',
    entry: 'stage-1.onnx',
    files: [{ path: 'stage-1.onnx', bytes: STAGE_BYTES, digest: digestOf(model) }],
  };
  const split = SplitManifest.parse({
    ...{ format: 'hearthlend-split', version: 1, model: digestOf(model), decoder: null, stopTokens: [] },
    stages: [{ digest: digestOf(model), manifest, layers: [], inputs: [], outputs: [], weightBytes: 1 }],
    check: { against: 'whole', runs: 1, distance: 0 },
  });
  writeFileSync(join(folder, 'split.json'), JSON.stringify(split));
}

test('a split is made once however many want it, kept while there is room, and the one used least lately goes, never one in use', async () => {
  const dir = temporaryFolder();
  const splits = openSplits(dir, () => 2.5 * STAGE_BYTES);
  let cuts = 0;
  const take = (model: number) =>
    splits.take(digestOf(model), 2, async (folder) => {
      cuts += 1;
      cut(folder, model);
    });
  const both = await Promise.all([take(1), take(1)]);
  expect(cuts).toBe(1);
  expect([...(both[0]?.files.values() ?? [])]).toEqual([join(splitFolder(dir, digestOf(1), 2), 'stage-1.onnx')]);
  await both[0]?.release();
  await (await take(2)).release();
  // The first is held still; of the others the second was used least lately.
  const long = new Date(1_600_000_000_000);
  for (const model of [1, 2]) utimesSync(join(splitFolder(dir, digestOf(model), 2), 'split.json'), long, long);
  await (await take(3)).release();
  expect(readdirSync(dir).sort()).toEqual([1, 3].map((model) => `${digestOf(model).slice(0, 32)}-2`).sort());
  await both[1]?.release();
  utimesSync(join(splitFolder(dir, digestOf(1), 2), 'split.json'), long, long);
  await (await take(2)).release();
  expect(await holdSplit(splitFolder(dir, digestOf(1), 2))).toBeNull();
  expect(cuts).toBe(4);
});

test('a split whose files are not what was written is made anew; what was given up long ago, or used by a program that has ended, is no obstacle', async () => {
  const dir = temporaryFolder();
  const splits = openSplits(dir, () => 1.5 * STAGE_BYTES);
  const take = (model: number) => splits.take(digestOf(model), 1, async (folder) => cut(folder, model));
  await (await take(1)).release();
  const first = splitFolder(dir, digestOf(1), 1);
  writeFileSync(join(first, 'stage-1.onnx'), 'cut off');
  await (await take(1)).release();
  // No process has this id.
  writeFileSync(join(first, 'in-use-4194305-1'), '');
  const half = join(dir, 'half');
  mkdirSync(half);
  const long = new Date(1_600_000_000_000);
  utimesSync(half, long, long);
  await (await take(2)).release();
  expect(readdirSync(dir)).toEqual([`${digestOf(2).slice(0, 32)}-1`]);
});
