import { z } from 'zod';
import { BackendName } from './backends.ts';
import { GpuId } from './hardware.ts';
import { MessageRef } from './messages.ts';
import { Amount, AssetId } from './money.ts';
import { NetworkId } from './shard.ts';

const Share = z.number().min(0).max(1);
const Count = z.int().min(0);
const Name = z.string().max(200);

/**
 * What is measured, and its unit. `upload` and `download`: copies between the machine's memory and a GPU's own, as ONNX Runtime makes them; the
 * processor has none. `tokens`: of the practice model, greedily, one after the other.
 */
export const FIGURE_UNITS = {
  matrixFp32: 'GFLOP/s',
  matrixFp16: 'GFLOP/s',
  memoryBandwidth: 'GB/s',
  upload: 'GB/s',
  download: 'GB/s',
  tokens: 'tokens/s',
  modelLoad: 'ms',
} as const;
export const FigureName = z.enum(Object.keys(FIGURE_UNITS) as [FigureName, ...FigureName[]]);
export type FigureName = keyof typeof FIGURE_UNITS;

/** One figure: the median of its samples, and how far they lie apart (median deviation from it, as a share of it). */
export const Figure = z.strictObject({ name: FigureName, median: z.number().min(0), spread: z.number().min(0), samples: z.int().min(1) });
export type Figure = z.infer<typeof Figure>;

/** A way to compute: a provider, and the GPU that it has; null for the processor, and for a page that isn't told which one its browser gives it. */
const Where = { backend: BackendName, gpu: GpuId.nullable() };

export const BackendScore = z.strictObject({
  ...Where,
  figures: z.array(Figure).max(Object.keys(FIGURE_UNITS).length),
  /** Why some figures are missing: an error's code and what its words need; null where all are there. */
  error: z.strictObject({ code: z.string().max(64), params: z.record(z.string(), z.union([z.string(), z.number()])) }).nullable(),
  /** 100: the machine that the scale was made on. Null where something that it is reckoned from is missing. */
  score: z.number().min(0).nullable(),
});
export type BackendScore = z.infer<typeof BackendScore>;

/** Why figures are not to be relied on: other programs used this share of the processor, or samples of a figure differed by this share. */
export const Noise = z.discriminatedUnion('reason', [
  z.strictObject({ reason: z.literal('busy'), share: Share }),
  z.strictObject({ reason: z.literal('spread'), share: z.number().min(0), figure: FigureName, ...Where }),
]);
export type Noise = z.infer<typeof Noise>;

/** Kinds of shards by what they need of a machine: the weights that are read for each token, or at each run. */
export const ShardClass = z.enum([
  'run-small',
  'run-large',
  'decoder-300m',
  'decoder-1b',
  'decoder-8b-4bit',
  'decoder-8b',
  'decoder-70b-4bit',
]);
export type ShardClass = z.infer<typeof ShardClass>;

/** Whether a machine can serve a kind of shard. `tokensPerSecond`: the most that its memory allows, an estimate; null for runs. */
export const ShardClassFit = z.strictObject({ name: ShardClass, serves: z.boolean(), tokensPerSecond: z.number().min(0).nullable() });
export type ShardClassFit = z.infer<typeof ShardClassFit>;

/** One benchmark as it is kept. Times in ms, `at` since 1970. */
export const BenchmarkResult = z.strictObject({
  at: z.int(),
  tookMs: z.number().min(0),
  quick: z.boolean(),
  machine: z.strictObject({
    cpu: Name,
    cores: z.int().min(1),
    memoryBytes: Count,
    platform: Name,
    gpus: z.array(z.strictObject({ id: GpuId, name: Name, driverVersion: Name.nullable() })).max(128),
  }),
  /** Of Hearthlend, of ONNX Runtime, and the threads that the processor computed with. */
  version: Name,
  onnxruntime: Name.nullable(),
  threads: z.int().min(1),
  /** What other programs used of the processor just before; null: not known. */
  othersLoad: Share.nullable(),
  /** Measured although the machine was busy, or found to be: null where the figures hold. */
  noise: Noise.nullable(),
  backends: z.array(BackendScore).max(256),
  recommended: z.strictObject(Where).nullable(),
  shardClasses: z.array(ShardClassFit).max(ShardClass.options.length),
  /** Of the practice model's own text; null where it wrote none. */
  wordsPerSecond: z.number().min(0).nullable(),
  /** What the processor and the GPUs took while it measured; null: no sensor. */
  watts: z.number().min(0).nullable(),
  /** All of it in a sentence for people. */
  sentence: MessageRef,
});
export type BenchmarkResult = z.infer<typeof BenchmarkResult>;

/** What is being measured now. */
export const BenchmarkProgress = z.strictObject({ startedAt: z.int(), step: Count, steps: Count, ...Where, figure: FigureName });
export type BenchmarkProgress = z.infer<typeof BenchmarkProgress>;

/**
 * What a network says that it pays for a token and how much work it has: the share of the time in which a worker gets some. Amounts in base
 * units; `at`: when it said so, ms since 1970.
 */
export const Quote = z.strictObject({
  asset: AssetId,
  perToken: Amount,
  demand: z.strictObject({ least: Share, most: Share }),
  at: z.int(),
});
export type Quote = z.infer<typeof Quote>;

/** What an hour of work would bring and cost. Without a quoted price there is no figure; without a tariff or watts there is no cost. */
export const EarningsEstimate = z.strictObject({
  networks: z
    .array(z.strictObject({ network: NetworkId, asset: AssetId, leastPerHour: Amount, mostPerHour: Amount, quotedAt: z.int() }))
    .max(64),
  electricity: z.strictObject({
    perHour: z.number().nullable(),
    currency: z.string().max(3),
    watts: z.number().min(0).nullable(),
    /** Whether a sensor measured the watts; else their owner gave them. */
    measured: z.boolean(),
  }),
});
export type EarningsEstimate = z.infer<typeof EarningsEstimate>;

/** Kept results, the newest first; what is measured now; and what the newest one would earn. */
export const BenchmarkHistory = z.strictObject({
  results: z.array(BenchmarkResult).max(50),
  running: BenchmarkProgress.nullable(),
  earnings: EarningsEstimate,
});
export type BenchmarkHistory = z.infer<typeof BenchmarkHistory>;
