import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadWordnetPractice } from '../../../coordinator/practice/wordnet.ts';
import { CPU, type Provider } from '../../../core/contract/backends.ts';
import { canonicalJson } from '../../../core/contract/digest.ts';
import type { LocalModel, PracticeSource, ReferenceWorker } from '../../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { Sampling } from '../../../core/contract/sampler.ts';
import type { SessionOptions, Shard } from '../../../core/contract/shard.ts';
import type { Tensor, Tensors } from '../../../core/contract/tensor.ts';
import { describeModel } from '../../../core/models/describe.ts';
import { modelDigest } from '../../../core/models/digest.ts';
import { splitModel } from '../../../core/models/splitting/split.ts';
import { inProcessReference } from '../../fakes/reference.ts';
import { asInt8, withChangedWeights, withoutLayer } from '../../fixtures/changed-weights.ts';
import { digestOf, int64 } from '../workbench.ts';

const folder = join(import.meta.dirname, '../../../resources/models/wordnet-lm');
const DECODER = { layers: 6, keyValueHeads: 6, headSize: 32, maxPositions: 128 };

/** Who computes: as the model is, with weights that int8 can hold, or without some of its layers. */
export type Weights = 'honest' | 'int8' | 'skipped';

/** A shard of the practice model, or of its middle stage, with its inputs. */
export interface Task {
  shard: Shard;
  inputs: Uint8Array;
  promptTokens: number;
}

export interface PracticeRuns {
  practice: PracticeSource;
  /** Prompts to continue, each to its stop token or `tokens` of them. `endless`: past every stop token. */
  generation(number: number, tokens: number, endless?: boolean): Task;
  /** `tokens` of a text to score. */
  scoring(number: number, tokens: number): Task;
  /** The activation behind the second of the model's layers, to be handed through the third and the fourth. */
  stage(number: number, tokens: number): Promise<Task>;
  compute(task: Task, weights?: Weights, session?: Partial<SessionOptions>): Promise<Uint8Array>;
  /** Audits as the coordinator's own reference does. */
  reference: ReferenceWorker;
}

/** Real runs of the practice model in this very process, under any options and on any provider. @param dir a folder of its own */
export async function openPracticeRuns(dir: string, provider: Provider = CPU): Promise<PracticeRuns> {
  const modelsDir = join(dir, `models-${provider.name}`);
  mkdirSync(modelsDir, { recursive: true });
  const worker = inProcessReference(modelsDir, provider);
  const whole = readFileSync(join(folder, 'onnx/model.onnx'));
  const wholes = variantsOf(join(dir, 'whole'), whole);
  const decoder = { decoder: DECODER, stopTokens: [0] };
  const practice = await loadWordnetPractice({ folder, model: wholes.honest, ...decoder });
  const base = (model: LocalModel, inputs: Uint8Array) => ({
    ...{ id: 'job-1.1', jobId: 'job-1', network: 'studio', origin: 'network' as const },
    model: { digest: modelDigest(model.manifest), bytes: canonicalJson(model.manifest).length },
    inputs: { digest: digestOf(inputs), bytes: inputs.byteLength },
    limits: { wallMs: 60_000, memoryBytes: 2 ** 31, outputBytes: 2 ** 24 },
    session: { intraOpThreads: 1, graphOptimization: 'all' as const },
    price: { asset: 'hearth:studio/credit:practice', unit: 'run' as const, perUnit: '1' },
  });
  const runOn = async (model: LocalModel, inputs: Tensors, outputs: string[]) => {
    const blob = encodeSafetensors(inputs);
    const shard: Shard = { ...base(model, blob), kind: 'onnx.run', outputs };
    return decodeSafetensors(await worker.compute({ model: { digest: shard.model.digest, local: model }, shard, inputs: blob }));
  };

  let cutting: ReturnType<typeof cut> | undefined;
  const stages = () => {
    cutting ??= cut();
    return cutting;
  };
  async function cut() {
    const out = join(dir, `stages-${provider.name}`);
    const model = await describeModel(wholes.honest.files.get('model.onnx') as string);
    const run = (model: Pick<LocalModel, 'manifest' | 'files'>, inputs: Tensors) => runOn(model, inputs, []);
    const manifest = await splitModel({ model, stages: 3, out, decoder, inputs: null, wholeFits: true, run });
    const [first, middle] = manifest.stages;
    if (first === undefined || middle === undefined) throw new Error('there are no three stages');
    const local = (number: number) => {
      const stage = manifest.stages[number];
      const entry = stage?.manifest.entry ?? '';
      return variantsOf(join(dir, `stage-${number}`), readFileSync(join(out, entry)), entry);
    };
    const handed = middle.inputs.find(({ from }) => from === 0)?.name ?? '';
    const gives = middle.outputs.find(({ to }) => to === 'stage')?.name ?? '';
    return { first, middle, handed, gives, firstModels: local(0), middleModels: local(1) };
  }

  /** What the whole model or a stage takes for some tokens, without a cache. */
  function inputsFor(names: readonly string[], ids: readonly number[]): Tensors {
    const none: Tensor = { type: 'float32', shape: [1, DECODER.keyValueHeads, 0, DECODER.headSize], data: new Uint8Array(0) };
    const shape = [1, ids.length];
    const known: Record<string, Tensor> = {
      input_ids: int64([...ids], shape),
      attention_mask: int64(
        ids.map(() => 1),
        shape,
      ),
      position_ids: int64(
        ids.map((_, at) => at),
        shape,
      ),
    };
    return new Map(names.map((name) => [name, name.startsWith('past_key_values') ? none : (known[name] as Tensor)]));
  }

  const textOf = (number: number, tokens: number) => {
    const ids = decodeSafetensors(practice.task(4 * number + 3).inputs).get('input_ids') as Tensor;
    return Array.from(new BigInt64Array(new Uint8Array(ids.data).buffer), Number).slice(0, tokens);
  };

  const modelsOf = async (shard: Shard) =>
    shard.model.digest === modelDigest(wholes.honest.manifest) ? wholes : (await stages()).middleModels;

  return {
    practice,
    generation(number, maxNewTokens, endless = false) {
      const task = practice.task(Math.floor(number / 3) * 4 + (number % 3));
      if (task.kind !== 'onnx.generate') throw new Error(`task ${number} is none`);
      const { inputs } = task;
      // The practice's own repeats after some hundred; a seed of its own doesn't.
      const seed = createHash('sha256').update(`trust ${number}`).digest('hex').slice(0, 16);
      const sampling: Sampling = task.sampling.method === 'greedy' ? task.sampling : { ...task.sampling, seed };
      const promptTokens = decodeSafetensors(inputs).get('input_ids')?.shape[1] ?? 0;
      const stopTokens = endless ? [] : [0];
      const shard: Shard = { ...base(wholes.honest, inputs), kind: 'onnx.generate', decoder: DECODER, maxNewTokens, stopTokens, sampling };
      return { shard, inputs, promptTokens };
    },
    scoring(number, tokens) {
      const names = [...decodeSafetensors(practice.task(3).inputs).keys()];
      const inputs = encodeSafetensors(inputsFor(names, textOf(number, tokens)));
      return { shard: { ...base(wholes.honest, inputs), kind: 'onnx.run', outputs: ['logits'] }, inputs, promptTokens: 0 };
    },
    async stage(number, tokens) {
      const { first, middle, handed, gives, firstModels, middleModels } = await stages();
      const ids = textOf(number, tokens);
      const before = await runOn(
        firstModels.honest,
        inputsFor(
          first.inputs.map(({ name }) => name),
          ids,
        ),
        [handed],
      );
      const given = inputsFor(
        middle.inputs.map(({ name }) => name).filter((name) => name !== handed),
        ids,
      );
      const inputs = encodeSafetensors(given.set(handed, before.get(handed) as Tensor));
      return { shard: { ...base(middleModels.honest, inputs), kind: 'onnx.run', outputs: [gives] }, inputs, promptTokens: 0 };
    },
    async compute({ shard, inputs }, weights = 'honest', session = {}) {
      const local = (await modelsOf(shard))[weights];
      const model = { digest: modelDigest(local.manifest), local };
      return worker.compute({ model, shard: { ...shard, session: { ...shard.session, ...session } }, inputs });
    },
    reference: {
      async compute(task) {
        const local = (await modelsOf(task.shard)).honest;
        return worker.compute({ ...task, model: { digest: modelDigest(local.manifest), local } });
      },
    },
  };
}

function variantsOf(dir: string, honest: Uint8Array, entry = 'model.onnx'): Record<Weights, LocalModel> {
  const int8 = withChangedWeights(honest, (_name, shape, values) => asInt8(shape, values));
  return {
    honest: stored(join(dir, 'honest'), entry, honest),
    int8: stored(join(dir, 'int8'), entry, int8),
    skipped: stored(join(dir, 'skipped'), entry, withoutLayer(honest)),
  };
}

function stored(dir: string, entry: string, bytes: Uint8Array): LocalModel {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, entry);
  writeFileSync(path, bytes);
  return {
    manifest: { format: 'onnx', entry, files: [{ path: entry, bytes: bytes.byteLength, digest: digestOf(bytes) }] },
    files: new Map([[entry, path]]),
  };
}
