import { z } from 'zod';
import { Sha256 } from './digest.ts';
import { DecoderConfig, ModelManifest } from './model.ts';
import { TensorName } from './shard.ts';
import { TensorType } from './tensor.ts';

/** More than this many machines in a row would spend their time waiting for each other. */
export const MAX_STAGES = 64;
/** Tensors that one stage may hand to later ones. */
export const MAX_CROSSING = 16;

/** What every worker makes for itself, since the number of tokens tells it. */
const SHARED_INPUTS = new Set(['attention_mask', 'position_ids', 'num_logits_to_keep', 'logits_to_keep', 'use_cache_branch']);

export function sharedInput(name: string): boolean {
  return SHARED_INPUTS.has(name);
}

/** A value that a stage takes or gives. A dimension is a size, the name of one that varies, or null where nothing is known. */
const StageValue = z.strictObject({
  name: TensorName,
  type: TensorType,
  shape: z.array(z.union([z.int().min(0), z.string().max(1024), z.null()])).max(64),
});
export type StageValue = z.infer<typeof StageValue>;

export const Stage = z.strictObject({
  /** Digest of `manifest`. */
  digest: Sha256,
  manifest: ModelManifest,
  /** Whole layers of a decoder whose cache this stage keeps, by number; empty for other graphs. */
  layers: z.array(z.int().min(0).max(1023)).max(1024),
  /** `job`: an input of the whole model. `cache`: kept by the worker between steps. Otherwise the stage that gives it, counted from 0. */
  inputs: z.array(z.strictObject({ ...StageValue.shape, from: z.union([z.enum(['job', 'cache']), z.int().min(0)]) })).max(4096),
  /** `job`: an output of the whole model. `cache`: kept by the worker. `stage`: for later stages. `both`: for the job and later stages. */
  outputs: z.array(z.strictObject({ ...StageValue.shape, to: z.enum(['job', 'cache', 'stage', 'both']) })).max(4096),
  /** Its constants, spread out; those that several stages need count in each. */
  weightBytes: z.int().min(0),
});
export type Stage = z.infer<typeof Stage>;

/** How the stages were held against the whole model. */
const SplitCheck = z.strictObject({
  /** `whole`: both were run. `stages`: the stages alone, since the whole needs more memory than there is. */
  against: z.enum(['whole', 'stages']),
  /** Runs with different sizes of what varies. */
  runs: z.int().min(1),
  /** Largest relative L2 distance of a row of an output, of all runs; 0: every bit is the same. Null where there was nothing to compare with. */
  distance: z.number().min(0).nullable(),
});
export type SplitCheck = z.infer<typeof SplitCheck>;

/** `split.json`: a model cut by layers, so that a network can place its stages. */
export const SplitManifest = z.strictObject({
  format: z.literal('hearthlend-split'),
  version: z.literal(1),
  /** Digest of the whole model's manifest. */
  model: Sha256,
  /** Null for a graph that is run once. */
  decoder: DecoderConfig.nullable(),
  stopTokens: z.array(z.int().min(0)).max(64),
  stages: z.array(Stage).min(1).max(MAX_STAGES),
  check: SplitCheck,
});
export type SplitManifest = z.infer<typeof SplitManifest>;

export const SPLIT_FILE = 'split.json';
