import { createHash } from 'node:crypto';
import { readFile, rm, stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { DescribedModel, ReferenceWorker, SplitModel } from './contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from './contract/safetensors.ts';
import type { RunShard } from './contract/shard.ts';
import { SPLIT_FILE, SplitManifest } from './contract/stages.ts';
import type { Tensors } from './contract/tensor.ts';
import { readNpz } from './jobs/npz.ts';
import { type DecoderFacts, readDecoder } from './models/decoder.ts';
import { findDecoder } from './models/decoder-folder.ts';
import { describeModel } from './models/describe.ts';
import { modelDigest } from './models/digest.ts';
import { splitModel } from './models/splitting/split.ts';

/** Memory that whatever is tried may take: of the machine's, the rest is for the system and the user. */
const MEMORY_SHARE = 0.75;
const WALL_MS = 600_000;
const OUTPUT_BYTES = 0x7fff_ffff;

export interface Splitting {
  /** Cuts a model into stages, into a folder. @param inputsPath an .npz to try it with; null: inputs are made @throws what splitModel throws */
  split(model: OwnedGraph, stages: number, out: string, inputsPath: string | null): Promise<SplitManifest>;
  /** The stages of a model, kept in the data folder from one job to the next. */
  kept(model: OwnedGraph, stages: number): Promise<SplitModel>;
}

/** A model of the owner's, and where a decoder's configuration lies: a folder, or its files by name. */
export interface OwnedGraph {
  described: DescribedModel;
  configuration: string | ReadonlyMap<string, string>;
}

interface SplittingParts {
  dataDir: string;
  reference: ReferenceWorker;
  /** What models loaded at once may take (bytes). */
  modelMemoryBytes(): number;
}

/** Cutting models, each stage tried in a sandboxed worker on the processor. */
export function openSplitting({ dataDir, reference, modelMemoryBytes }: SplittingParts): Splitting {
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

  async function split(model: OwnedGraph, stages: number, out: string, inputsPath: string | null): Promise<SplitManifest> {
    const { described } = model;
    const bytes = described.manifest.files.reduce((sum, file) => sum + file.bytes, 0);
    const room = Math.min(modelMemoryBytes(), Math.floor(totalmem() * MEMORY_SHARE));
    return splitModel({
      ...{ model: described, stages, out, run },
      decoder: await decoderOf(model),
      inputs: inputsPath === null ? null : await readNpz(inputsPath, OUTPUT_BYTES),
      // Loaded, it takes its files' size and what it computes with.
      wholeFits: 1.5 * bytes <= room,
    });
  }

  return {
    split,
    async kept(model, stages) {
      const folder = splitFolder(dataDir, model.described, stages);
      return (await splitThere(folder)) ?? splitModelIn(folder, await split(model, stages, folder, null));
    },
  };
}

/** Where the stages of a model are kept from one job to the next. */
export function splitFolder(dataDir: string, { manifest }: Pick<DescribedModel, 'manifest'>, stages: number): string {
  return join(dataDir, 'splits', `${modelDigest(manifest).slice(0, 32)}-${stages}`);
}

/** The stages in a folder, with every file of the size it should have; null where they are not there. */
export async function splitThere(folder: string): Promise<SplitModel | null> {
  const manifest = await readSplit(folder);
  return manifest === null ? null : splitModelIn(folder, manifest);
}

function splitModelIn(folder: string, manifest: SplitManifest): SplitModel {
  return {
    manifest,
    files: new Map(manifest.stages.flatMap((stage) => stage.manifest.files.map(({ path }) => [path, join(folder, path)]))),
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

/** A split that is there, with every file of the size it should have; else what is left of it is removed. */
async function readSplit(folder: string): Promise<SplitManifest | null> {
  try {
    const manifest = SplitManifest.parse(JSON.parse(await readFile(join(folder, SPLIT_FILE), 'utf8')));
    for (const { path, bytes } of manifest.stages.flatMap((stage) => stage.manifest.files)) {
      if ((await stat(join(folder, path))).size !== bytes) throw new Error(`${path} is not what was written`);
    }
    return manifest;
  } catch {
    await rm(folder, { recursive: true, force: true });
    return null;
  }
}
