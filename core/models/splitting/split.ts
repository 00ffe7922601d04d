import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { HearthlendError } from '../../contract/errors.ts';
import type { DescribedModel } from '../../contract/jobs.ts';
import type { DecoderConfig, ModelManifest } from '../../contract/model.ts';
import { SPLIT_FILE, type SplitCheck, SplitManifest, type Stage, type StageValue } from '../../contract/stages.ts';
import { TENSOR_TYPES, type Tensors, type TensorType } from '../../contract/tensor.ts';
import { hashFile, modelDigest } from '../digest.ts';
import { WireReader } from '../onnx/wire.ts';
import { onDisk } from '../place.ts';
import { distanceOf, sameChoices } from './compare.ts';
import { planStages, type StagePlan } from './plan.ts';
import { readSplitGraph } from './read.ts';
import { SAMPLES, sampleInputs } from './samples.ts';
import { type Source, writeData, writeStage } from './write.ts';

/** Computes a model once: in a worker behind the wall, so that a file somebody made can do no harm. */
export type RunModel = (model: Pick<DescribedModel, 'manifest' | 'files'>, inputs: Tensors) => Promise<Tensors>;

export interface SplitRequest {
  model: DescribedModel;
  stages: number;
  /** A folder, made if it isn't there. Files of an earlier split in it are replaced. */
  out: string;
  /** For a decoder, from its configuration; null for a graph that is run once. */
  decoder: { decoder: DecoderConfig; stopTokens: number[] } | null;
  /** Inputs to try it with; null: they are made. */
  inputs: Tensors | null;
  /** Whether the whole model has room in memory, to be run beside the stages. */
  wholeFits: boolean;
  run: RunModel;
}

/** How far stages may be from the whole: what two machines of one kind may differ by. */
const ALLOWED_DISTANCE: Partial<Record<TensorType, number>> = { float16: 1e-2, float32: 1e-4, float64: 1e-4 };
const PATIENCE_MS = 600_000;

/**
 * Cuts a model into stages, each a valid model of its own, and holds them against the whole. Weights go from file to file in pieces.
 * @returns the manifest, as it was written to `split.json` in the folder
 * @throws MODEL_UNCUTTABLE, MODEL_SPLIT_DIFFERS, MODEL_INVALID, DISK_FULL, DATA_DIR_UNWRITABLE, and what running them throws
 */
export async function splitModel(request: SplitRequest): Promise<SplitManifest> {
  const { manifest, files } = request.model;
  const file = await open(files.get(manifest.entry) ?? manifest.entry);
  try {
    const { size } = await file.stat();
    const graph = await readSplitGraph(new WireReader(file, size, PATIENCE_MS), size);
    const plans = planStages(graph, request.stages);
    await onDisk(request.out, () => mkdir(request.out, { recursive: true }));
    // A graph names its data from its own folder on.
    const beside = posix.dirname(manifest.entry);
    const data = new Map([...files].map(([path, place]) => [posix.relative(beside, path), place]));
    return await new Splitting(request, { graph, file, data }, plans).split();
  } finally {
    await file.close();
  }
}

class Splitting {
  readonly #request: SplitRequest;
  readonly #source: Source;
  readonly #plans: StagePlan[];
  /** Types of what goes from stage to stage, as running showed them. */
  readonly #known = new Map<string, StageValue>();
  /** For each sample: every value made so far. */
  readonly #values: Tensors[];

  constructor(request: SplitRequest, source: Source, plans: StagePlan[]) {
    this.#request = request;
    this.#source = source;
    this.#plans = plans;
    const { inputs, model } = request;
    this.#values = inputs === null ? SAMPLES.map((sample) => sampleInputs(model.inputs, sample)) : [new Map(inputs)];
  }

  async split(): Promise<SplitManifest> {
    const given = this.#values.map((values) => new Map(values));
    const stages: Stage[] = [];
    for (const [at, plan] of this.#plans.entries()) stages.push(await this.#stage(at, plan));
    const manifest = SplitManifest.parse({
      format: 'hearthlend-split',
      version: 1,
      model: modelDigest(this.#request.model.manifest),
      decoder: this.#request.decoder?.decoder ?? null,
      stopTokens: this.#request.decoder?.stopTokens ?? [],
      stages,
      check: await this.#check(given),
    });
    const path = join(this.#request.out, SPLIT_FILE);
    // Last and at once: who finds it finds everything.
    await onDisk(path, () => writeFile(`${path}.part`, `${JSON.stringify(manifest, null, 2)}\n`));
    await onDisk(path, () => rename(`${path}.part`, path));
    return manifest;
  }

  async #stage(at: number, plan: StagePlan): Promise<Stage> {
    const entry = `stage-${at + 1}.onnx`;
    const data = `${entry}_data`;
    const [path, dataPath] = [join(this.#request.out, entry), join(this.#request.out, data)];
    await onDisk(path, () => rm(join(this.#request.out, SPLIT_FILE), { force: true }));
    await onDisk(dataPath, () => rm(dataPath, { force: true }));
    const moved = await writeData(this.#source, plan, { path: dataPath, name: data });
    await writeStage(this.#source, plan, moved, this.#known, path);
    const listed = moved.size > 0 ? [{ path: data, ...(await hashFile(dataPath)) }] : [];
    const found = await this.#observe(at, plan, await described(this.#request.out, entry, listed));
    // Once more, now that the types of what it hands on are known: they are declared, as every tool expects.
    if (found) await writeStage(this.#source, plan, moved, this.#known, path);
    const { manifest } = await described(this.#request.out, entry, listed);
    return {
      digest: modelDigest(manifest),
      manifest,
      layers: plan.layers,
      inputs: plan.inputs.map(({ name, from }) => ({ ...this.#valueOf(name), from })),
      outputs: plan.outputs.map(({ name, to }) => ({ ...this.#valueOf(name), to })),
      weightBytes: plan.weightBytes,
    };
  }

  /** Runs a stage on what the ones before it made. Returns whether it hands on anything whose type was not known. */
  async #observe(at: number, plan: StagePlan, model: Pick<DescribedModel, 'manifest' | 'files'>): Promise<boolean> {
    const seen: Tensors[] = [];
    for (const values of this.#values) {
      const inputs = new Map(plan.inputs.map(({ name }) => [name, values.get(name) as never]));
      const outputs = await this.#request.run(model, inputs).catch((thrown: unknown) => {
        throw this.#namedRefusal(at, plan, thrown);
      });
      seen.push(outputs);
      for (const [name, tensor] of outputs) values.set(name, tensor);
    }
    let found = false;
    for (const { name, to } of plan.outputs) {
      const [first, second] = seen.map((outputs) => outputs.get(name));
      if (first === undefined) continue;
      const shape = first.shape.map((size, axis) => (second === undefined ? null : second.shape[axis] === size ? size : `${name}.${axis}`));
      if (second !== undefined && second.shape.length !== first.shape.length) continue;
      this.#known.set(name, { name, type: first.type, shape });
      found ||= to === 'stage' || this.#source.graph.outputs.get(name)?.value.type === null;
    }
    return found;
  }

  /** Only when a stage is loaded does it show that a value between two nodes is no tensor that travels. */
  #namedRefusal(at: number, plan: StagePlan, thrown: unknown): unknown {
    if (!(thrown instanceof HearthlendError) || thrown.code !== 'MODEL_VALUE_UNSUPPORTED') return thrown;
    const { name, type } = thrown.params;
    const node =
      this.#source.graph.nodes[plan.nodes.find((index) => this.#source.graph.nodes[index]?.outputs.includes(String(name))) ?? -1];
    const detail = `stage ${at + 1} would hand on ${name}, which is of type ${type} and can't travel`;
    return new HearthlendError(
      'MODEL_UNCUTTABLE',
      { stages: this.#plans.length, node: node?.label ?? String(name), detail },
      { cause: thrown },
    );
  }

  #valueOf(name: string): StageValue {
    const { graph } = this.#source;
    const declared = (graph.inputs.get(name) ?? graph.outputs.get(name))?.value;
    if (declared !== undefined && declared.type !== null && Object.hasOwn(TENSOR_TYPES, declared.type)) {
      return { name, type: declared.type as TensorType, shape: declared.shape ?? [] };
    }
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    throw new HearthlendError('MODEL_UNCUTTABLE', { stages: this.#plans.length, node: name, detail: 'its number of dimensions varies' });
  }

  /** Runs the whole model on the same inputs. @throws MODEL_SPLIT_DIFFERS */
  async #check(given: readonly Tensors[]): Promise<SplitCheck> {
    const check: SplitCheck = { against: 'stages', runs: given.length, distance: null };
    if (!this.#request.wholeFits) return check;
    check.against = 'whole';
    for (const [at, inputs] of given.entries()) {
      const whole = await this.#request.run(this.#request.model, inputs);
      const stages = this.#values[at] as Tensors;
      const { distance, name } = distanceOf(whole, stages);
      const allowed = ALLOWED_DISTANCE[whole.get(name)?.type ?? 'float32'] ?? 0;
      const logits = this.#request.decoder === null ? undefined : whole.get('logits');
      const chosen = logits === undefined || sameChoices(logits, stages.get('logits') ?? logits);
      if (distance > allowed || !chosen) {
        const detail =
          distance > allowed
            ? `its output ${name} differs by ${distance.toExponential(1)} where ${allowed} is allowed`
            : 'its logits choose other tokens';
        throw new HearthlendError('MODEL_SPLIT_DIFFERS', { stages: this.#plans.length, detail });
      }
      check.distance = Math.max(check.distance ?? 0, distance);
    }
    return check;
  }
}

/** @param data the stage's file of weights, hashed already */
async function described(folder: string, entry: string, data: ModelManifest['files']): Promise<Pick<DescribedModel, 'manifest' | 'files'>> {
  const files = [{ path: entry, ...(await hashFile(join(folder, entry))) }, ...data];
  return { manifest: { format: 'onnx', entry, files }, files: new Map(files.map(({ path }) => [path, join(folder, path)])) };
}
