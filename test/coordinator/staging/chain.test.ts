import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { EmbeddedCoordinator, JobRequest } from '../../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { describeModel } from '../../../core/models/describe.ts';
import { modelDigest } from '../../../core/models/digest.ts';
import { splitModel } from '../../../core/models/splitting/split.ts';
import { runTask, supervise, temporaryFolder } from '../../core/supervisor/workbench.ts';
import { modelCases } from '../../fixtures/onnx-models.ts';
import { ASK, digestOf, inputsOf, Workbench } from '../workbench.ts';

const supervisedRun = (supervisor = supervise()) => {
  return async (
    model: { manifest: JobRequest['model']['manifest']; files: ReadonlyMap<string, string> },
    inputs: Uint8Array,
    outputs: string[] = [],
  ) => {
    const digest = modelDigest(model.manifest);
    return (await supervisor.run(runTask({ digest, ...model }, inputs, { outputs }))).outputs;
  };
};

async function prepare(name: string, stages: number) {
  const run = supervisedRun();
  const { files, inputs } = modelCases().find((each) => each.name === name) as ReturnType<typeof modelCases>[number];
  const folder = temporaryFolder();
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  const model = await describeModel(join(folder, 'model.onnx'));
  const out = temporaryFolder();
  const manifest = await splitModel({
    ...{ model, stages, out, decoder: null, inputs, wholeFits: true },
    run: async (each, given) => decodeSafetensors(await run(each, encodeSafetensors(given))),
  });
  const paths = manifest.stages.flatMap((stage) => stage.manifest.files.map(({ path }) => [path, join(out, path)] as const));
  const request: JobRequest = {
    ...{ kind: 'onnx.run', model, inputs: encodeSafetensors(inputs), outputs: [], split: { manifest, files: new Map(paths) } },
    limits: { wallMs: 60_000, memoryBytes: 2 ** 31, outputBytes: 2 ** 26 },
    session: { intraOpThreads: 1, graphOptimization: 'all' },
  };
  return { run, request, whole: decodeSafetensors(await run(model, encodeSafetensors(inputs))) };
}

/** Computes what is lent until nothing is. Gives the ids of the shards in their order. */
async function work(
  coordinator: EmbeddedCoordinator,
  run: ReturnType<typeof supervisedRun>,
  most = Number.POSITIVE_INFINITY,
): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < most) {
    const reply = await coordinator.lease({ ...ASK, practice: false });
    if (reply.type !== 'lease') return ids;
    const { shard, attempt } = reply.lease;
    if (shard.kind !== 'onnx.run') throw new Error('a generation was lent');
    const pathOf = async (digest: string) => {
      const source = await coordinator.fetchBlob(digest, 0);
      return source.type === 'file' ? source.path : '';
    };
    const manifest = JSON.parse(readFileSync(await pathOf(shard.model.digest), 'utf8'));
    const files = new Map<string, string>();
    for (const { path, digest } of manifest.files) files.set(path, await pathOf(digest));
    const outputs = await run({ manifest, files }, await inputsOf(coordinator, shard), shard.outputs);
    const submission = { shardId: shard.id, attempt, commitment: digestOf(outputs), outputBytes: outputs.byteLength, units: 1, runMs: 1 };
    const changed = new Promise<void>((resolve) => onTestFinished(coordinator.subscribe(({ type }) => type === 'work' && resolve())));
    expect(await coordinator.submit(submission, outputs)).toMatchObject({ type: 'accepted' });
    ids.push(shard.id);
    // The next stage is made once this one is accepted.
    if ((await coordinator.job(shard.jobId))?.state !== 'done') await changed;
  }
  return ids;
}

test('the stages of a graph that is run once follow each other, each on what the ones before it gave', async () => {
  const { run, request, whole } = await prepare('recurrent', 2);
  const bench = new Workbench();
  onTestFinished(() => bench.dispose());
  const coordinator = await bench.open();
  const { id } = await coordinator.submitJob(request);
  expect(await work(coordinator, run)).toEqual([`${id}.1`, `${id}.2`]);
  expect(await coordinator.job(id)).toMatchObject({ state: 'done', shards: 2, accepted: 2 });
  expect([...decodeSafetensors(await coordinator.outputs(id))].sort()).toEqual([...whole].sort());
});

test('only the outputs that were asked for are kept, and a crash between two stages loses none', async () => {
  const { run, request, whole } = await prepare('600 operators', 3);
  const bench = new Workbench();
  onTestFinished(() => bench.dispose());
  const before = await bench.open();
  const { id } = await before.submitJob({ ...request, outputs: ['y'] } as JobRequest);
  expect(await work(before, run, 1)).toEqual([`${id}.1`]);
  bench.crash();
  const after = await bench.open();
  expect(await work(after, run)).toEqual([`${id}.2`, `${id}.3`]);
  expect(decodeSafetensors(await after.outputs(id))).toEqual(whole);
});

test('a batch of several shards, or a split without what the job gives, is refused by name', async () => {
  const { request } = await prepare('recurrent', 2);
  const bench = new Workbench();
  onTestFinished(() => bench.dispose());
  const coordinator = await bench.open();
  await expect(coordinator.submitJob({ ...request, further: [request.inputs] } as JobRequest)).rejects.toMatchObject({ code: 'USAGE' });
  const none = { ...request, inputs: encodeSafetensors(new Map()) };
  await expect(coordinator.submitJob(none)).rejects.toMatchObject({ code: 'INPUT_MISSING', params: { name: 'x' } });
});
