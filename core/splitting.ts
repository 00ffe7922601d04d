import { createHash } from 'node:crypto';
import { totalmem } from 'node:os';
import { isAbsolute } from 'node:path';
import type { DescribedModel, HeldSplit, ModelSplitter, ReferenceWorker } from './contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from './contract/safetensors.ts';
import type { RunShard } from './contract/shard.ts';
import type { SplitManifest } from './contract/stages.ts';
import type { Tensors } from './contract/tensor.ts';
import { readNpz } from './jobs/npz.ts';
import { type DecoderFacts, readDecoder } from './models/decoder.ts';
import { findDecoder } from './models/decoder-folder.ts';
import { describeModel, describeStored } from './models/describe.ts';
import { modelDigest } from './models/digest.ts';
import { stageSizes } from './models/splitting/sizes.ts';
import { splitModel } from './models/splitting/split.ts';
import type { Splits } from './splits.ts';

/** Memory that whatever is tried may take: of the machine's, the rest is for the system and the user. */
const MEMORY_SHARE = 0.75;
const WALL_MS = 600_000;
const OUTPUT_BYTES = 0x7fff_ffff;

export interface Splitting {
  /** Cuts a model into stages, into a folder. @param inputsPath an .npz to try it with; null: inputs are made @throws what splitModel throws */
  split(model: OwnedGraph, stages: number, out: string, inputsPath: string | null): Promise<SplitManifest>;
  /** The stages of a model, kept in the data folder from one job to the next. */
  kept(model: OwnedGraph, stages: number): Promise<HeldSplit>;
  /** The same for a coordinator, whose models are others'. */
  readonly splitter: ModelSplitter;
}

/** A model of the owner's, and where a decoder's configuration lies: a folder, or its files by name. */
export interface OwnedGraph {
  described: DescribedModel;
  configuration: string | ReadonlyMap<string, string>;
}

interface SplittingParts {
  splits: Splits;
  reference: ReferenceWorker;
  /** What models loaded at once may take (bytes). */
  modelMemoryBytes(): number;
}

/** Cutting models, each stage tried in a sandboxed worker on the processor. */
export function openSplitting({ splits, reference, modelMemoryBytes }: SplittingParts): Splitting {
  async function run({ manifest, files }: Pick<DescribedModel, 'manifest' | 'files'>, inputs: Tensors): Promise<Tensors> {
    const blob = encodeSafetensors(inputs);
    const digest = modelDigest(manifest);
    const shard: RunShard = {
      ...{ id: 'split', jobId: 'split', network: 'local', kind: 'onnx.run', outputs: [], origin: 'own' },
      model: { digest, bytes: 0 },
      inputs: { digest: createHash('sha256').update(blob).digest('hex'), bytes: blob.byteLength },
      limits: { wallMs: WALL_MS, memoryBytes: Math.floor(totalmem() * MEMORY_SHARE), outputBytes: OUTPUT_BYTES },
      session: { intraOpThreads: 0, graphOptimization: 'all' },
      price: { asset: 'hearth:local/credit:practice', unit: 'run', perUnit: '0' },
    };
    return decodeSafetensors(await reference.compute({ model: { digest, local: { manifest, files } }, shard, inputs: blob }));
  }

  const room = () => Math.min(modelMemoryBytes(), Math.floor(totalmem() * MEMORY_SHARE));

  /** @param decoder of its configuration; null for a graph that is run once */
  async function cut(
    described: DescribedModel,
    decoder: Pick<DecoderFacts, 'decoder' | 'stopTokens'> | null,
    stages: number,
    out: string,
    inputsPath: string | null,
  ): Promise<SplitManifest> {
    const bytes = described.manifest.files.reduce((sum, file) => sum + file.bytes, 0);
    return splitModel({
      ...{ model: described, stages, out, run },
      decoder,
      inputs: inputsPath === null ? null : await readNpz(inputsPath, OUTPUT_BYTES),
      // Loaded, it takes its files' size and what it computes with.
      wholeFits: 1.5 * bytes <= room(),
    });
  }

  const split: Splitting['split'] = async (model, stages, out, inputsPath) =>
    cut(model.described, await decoderOf(model), stages, out, inputsPath);
  const keptOf = (described: DescribedModel, decoder: Parameters<typeof cut>[1], stages: number) =>
    splits.take(modelDigest(described.manifest), stages, (folder) => cut(described, decoder, stages, folder, null));

  return {
    split,
    kept: async (model, stages) => keptOf(model.described, await decoderOf(model), stages),
    splitter: {
      get mostStageBytes() {
        return room();
      },
      sizes: stageSizes,
      split: async ({ manifest, files }, decoder, stages) => keptOf(await describeStored(manifest, files), decoder, stages),
    },
  };
}

/** A model of the owner's by its path, or one that was added, as its whole files. @throws what describing it throws */
export async function ownedGraph(model: string, describe: () => Promise<DescribedModel>): Promise<OwnedGraph> {
  if (!isAbsolute(model)) {
    const described = await describe();
    return { described, configuration: described.files };
  }
  const { modelPath, folder } = await findDecoder(model);
  return { described: await describeModel(modelPath), configuration: folder };
}

/** What a decoder's configuration says; null for a graph without a cache. @throws MODEL_NOT_GENERATIVE where it has one and no configuration */
export async function decoderOf({ described: { inputs }, configuration }: OwnedGraph): Promise<DecoderFacts | null> {
  if (!inputs.some(({ name }) => name.startsWith('past_key_values.'))) return null;
  return readDecoder(configuration);
}
