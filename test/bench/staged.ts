// What cutting a decoder into stages costs, and how soon a generation goes on that lost one: a decoder of 309 million parameters, whole in one
// sandboxed worker and in one to three stages of it, by turns in one run on this machine; greedy tokens must be the same. Usage: node staged.ts
// [FOLDER], where FOLDER keeps the model between runs; otherwise it is made anew, and removed.
import { join } from 'node:path';
import { median } from '../../core/bench/measure.ts';
import { CPU } from '../../core/contract/backends.ts';
import type { JobRequest } from '../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import { RunShard } from '../../core/contract/shard.ts';
import type { SplitManifest } from '../../core/contract/stages.ts';
import { readDecoder } from '../../core/models/decoder.ts';
import { describeModel } from '../../core/models/describe.ts';
import { modelDigest } from '../../core/models/digest.ts';
import { splitModel } from '../../core/models/splitting/split.ts';
import { createSupervisor, type ShardTask } from '../../core/supervisor/supervisor.ts';
import { playStages } from '../coordinator/staging/stage-machine.ts';
import { int64, Workbench } from '../coordinator/workbench.ts';
import { openLargeDecoder, report } from './large-decoder.ts';

const TOKENS = 40;
const REPEATS = 3;

const large = await openLargeDecoder();
const { folder, modelPath, workDir, threads, worker } = large;
const PROMPT = large.promptOf(64);
const supervisor = createSupervisor(worker);
const bench = new Workbench();
let failed = false;
try {
  const described = await describeModel(modelPath);
  const facts = await readDecoder(folder);
  const asked: Extract<JobRequest, { kind: 'onnx.generate' }> = {
    model: described,
    inputs: encodeSafetensors(new Map([['input_ids', int64(PROMPT, [1, PROMPT.length])]])),
    ...{ kind: 'onnx.generate', decoder: facts.decoder, stopTokens: [], maxNewTokens: TOKENS, sampling: { method: 'greedy' } },
    limits: { wallMs: 600_000, memoryBytes: 4 * 2 ** 30, outputBytes: 2 ** 28 },
    session: { intraOpThreads: threads, graphOptimization: 'all' },
  };
  const splits = new Map<number, JobRequest['split']>();
  for (const stages of [1, 2, 3]) splits.set(stages, await cut(stages));
  const coordinator = await bench.open({ clock: Date.now, monotonic: () => performance.now() });

  /** ms of each step after the first token, and the tokens. @param lost the stage whose worker is killed in the middle; null: none */
  async function staged(stages: number, lost: number | null): Promise<{ steps: number[]; tokens: string; recoveredMs: number }> {
    const { id } = await coordinator.submitJob({ ...asked, split: splits.get(stages) } as JobRequest);
    const times: number[] = [];
    let [killedAt, recoveredMs] = [0, 0];
    await playStages(coordinator, {
      ...{ worker, threads },
      onStep: ({ shard, attempt }, step, kill) => {
        const index = shard.kind === 'onnx.generate' ? (shard.stage?.index ?? 0) : 0;
        if (index === stages - 1 && step > 1) times.push(performance.now());
        // What was drawn before is on its way still; the step after it needs the one that was lost, and the first stage hears of its token.
        if (killedAt > 0 && recoveredMs === 0 && index === 0 && step >= TOKENS / 2 + 2) recoveredMs = performance.now() - killedAt;
        if (index === lost && attempt === 1 && step === TOKENS / 2) {
          killedAt = performance.now();
          kill();
        }
      },
    });
    const { data } = decodeSafetensors(await coordinator.outputs(id)).get('tokens') ?? { data: new Uint8Array() };
    const steps = times.slice(1).map((at, index) => at - (times[index] as number));
    return { steps, tokens: String(new BigInt64Array(Uint8Array.from(data).buffer)), recoveredMs };
  }

  async function whole(): Promise<{ steps: number[]; tokens: string }> {
    const times: number[] = [];
    const digest = modelDigest(described.manifest);
    const { outputs } = await supervisor.run(taskOf(digest), { onToken: () => times.push(performance.now()) });
    const { data } = decodeSafetensors(outputs).get('tokens') ?? { data: new Uint8Array() };
    return {
      steps: times.slice(1).map((at, index) => at - (times[index] as number)),
      tokens: String(new BigInt64Array(Uint8Array.from(data).buffer)),
    };
  }

  function taskOf(digest: string): ShardTask {
    const { kind, decoder, stopTokens, maxNewTokens, sampling, limits, session, inputs } = asked;
    const base = {
      id: 'bench',
      jobId: 'bench',
      network: 'bench',
      origin: 'own',
      price: { asset: 'hearth:bench/credit:practice', unit: 'token', perUnit: '0' },
    } as const;
    const refs = { model: { digest, bytes: 0 }, inputs: { digest, bytes: inputs.byteLength } };
    return {
      shard: { ...base, ...refs, kind, decoder, stopTokens: [...stopTokens], maxNewTokens, sampling, limits, session },
      ...{ model: { digest, ...described }, inputs, threads, provider: CPU },
    };
  }

  const expected = (await whole()).tokens;
  const inWhole: number[] = [];
  const inStages = new Map<number, number[]>([1, 2, 3].map((stages) => [stages, []]));
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    inWhole.push(...(await whole()).steps);
    for (const [stages, times] of inStages) {
      const made = await staged(stages, null);
      times.push(...made.steps);
      same(`${stages} stages`, made.tokens, expected);
    }
  }
  const baseline = median(inWhole);
  for (const [stages, times] of inStages) {
    const name = `a step in ${stages} ${stages === 1 ? 'stage' : 'stages'} of a decoder of 309 million parameters`;
    report(name, median(times), 'ms', { name: 'whole in one worker', value: baseline });
  }
  for (const lost of [0, 1, 2]) {
    const found = [];
    for (let repeat = 0; repeat < REPEATS; repeat += 1) {
      const made = await staged(3, lost);
      same(`3 stages, the one at ${lost} lost`, made.tokens, expected);
      found.push(made.recoveredMs);
    }
    const name = `from the loss of stage ${lost + 1} of 3 until the next token, ${PROMPT.length + TOKENS / 2} tokens replayed`;
    report(name, median(found), 'ms');
  }
} finally {
  await supervisor.dispose();
  await bench.dispose();
  large.close();
}
process.exitCode = failed ? 1 : 0;

async function cut(stages: number): Promise<{ manifest: SplitManifest; files: ReadonlyMap<string, string> }> {
  const model = await describeModel(modelPath);
  const out = join(workDir, `split-${stages}`);
  const manifest = await splitModel({
    ...{ model, stages, out, decoder: await readDecoder(folder), inputs: null, wholeFits: true },
    run: async ({ manifest: each, files }, inputs) => {
      const blob = encodeSafetensors(inputs);
      const digest = modelDigest(each);
      const shard = RunShard.parse({
        ...{ id: 'split', jobId: 'split', network: 'local', origin: 'own', kind: 'onnx.run', outputs: [] },
        ...{ model: { digest, bytes: 0 }, inputs: { digest, bytes: blob.byteLength }, session: { intraOpThreads: threads } },
        limits: { wallMs: 600_000, memoryBytes: 4 * 2 ** 30, outputBytes: 2 ** 28 },
        price: { asset: 'hearth:bench/credit:practice', unit: 'run', perUnit: '0' },
      });
      const task = { shard, model: { digest, manifest: each, files }, inputs: blob, threads, provider: CPU };
      return decodeSafetensors((await supervisor.run(task)).outputs);
    },
  });
  return {
    manifest,
    files: new Map(manifest.stages.flatMap((stage) => stage.manifest.files.map(({ path }) => [path, join(out, path)] as const))),
  };
}

function same(what: string, tokens: string, expected: string): void {
  if (tokens === expected) return;
  failed = true;
  console.log(`WRONG: ${what} makes other tokens than the whole`);
}
