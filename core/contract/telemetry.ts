import { z } from 'zod';
import { GpuId } from './hardware.ts';
import { NetworkId, ShardId } from './shard.ts';

const Share = z.number().min(0).max(1);
const Bytes = z.int().min(0);
const Celsius = z.number().min(-50).max(150);
const Watts = z.number().min(0).max(5000);
const Mhz = z.number().min(0).max(20_000);

/**
 * Why clocks are held below what they could be. `power`: the power limit; `thermal`: too hot; `hardware`: the card's own protection, mostly power
 * or heat; `sync`: held to the slowest of a group. A clock that is low for want of work is not throttled.
 */
export const ThrottleReason = z.enum(['power', 'thermal', 'hardware', 'sync']);
export type ThrottleReason = z.infer<typeof ThrottleReason>;

/** One GPU at one moment. What isn't told, or can't be true, is null: never zero. */
export const GpuSample = z.strictObject({
  gpu: GpuId,
  /** Share of the time in which it did something. */
  utilization: Share.nullable(),
  memoryTotalBytes: Bytes.nullable(),
  memoryUsedBytes: Bytes.nullable(),
  /** Of that, our workers' part, and what all other programs hold. */
  memoryOursBytes: Bytes.nullable(),
  memoryOthersBytes: Bytes.nullable(),
  temperatureCelsius: Celsius.nullable(),
  /** Share of its full speed. */
  fan: Share.nullable(),
  fanRpm: z.int().min(0).max(30_000).nullable(),
  powerWatts: Watts.nullable(),
  powerLimitWatts: Watts.nullable(),
  coreClockMhz: Mhz.nullable(),
  memoryClockMhz: Mhz.nullable(),
  /** Empty: not throttled; null: not told. */
  throttled: z.array(ThrottleReason).max(4).nullable(),
});
export type GpuSample = z.infer<typeof GpuSample>;

/** The processor at one moment, and what our workers take of it. */
export const CpuSample = z.strictObject({
  /** Of all cores, whoever uses them. */
  utilization: Share.nullable(),
  temperatureCelsius: Celsius.nullable(),
  /** Of the whole package (cores, caches, an integrated GPU), without the memory; measured. */
  powerWatts: Watts.nullable(),
  /** Of the first core. */
  clockMhz: Mhz.nullable(),
  throttled: z.array(ThrottleReason).max(4).nullable(),
  /** Cores' worth of processor time that our workers took. */
  workerCores: z.number().min(0).max(4096).nullable(),
  workerMemoryBytes: Bytes.nullable(),
  memoryTotalBytes: Bytes,
  memoryUsedBytes: Bytes.nullable(),
});
export type CpuSample = z.infer<typeof CpuSample>;

/** What the machine told at one moment (ms since 1970). */
export const TelemetrySample = z.strictObject({ at: z.int(), cpu: CpuSample, gpus: z.array(GpuSample).max(64) });
export type TelemetrySample = z.infer<typeof TelemetrySample>;

/**
 * What one attempt at a shard took: the power of what computed it, over its run. `estimated` where no sensor measured it and what the device
 * takes under load was put in its place.
 */
export const ShardEnergy = z.strictObject({
  network: NetworkId,
  shardId: ShardId,
  attempt: z.int().min(1),
  at: z.int(),
  joules: z.number().min(0),
  estimated: z.boolean(),
});
export type ShardEnergy = z.infer<typeof ShardEnergy>;

/** The last minutes of work: at most one sample a second, oldest first, and the last shards of which the energy is known. */
export const TelemetryHistory = z.strictObject({
  samples: z.array(TelemetrySample).max(300),
  energies: z.array(ShardEnergy).max(50),
});
export type TelemetryHistory = z.infer<typeof TelemetryHistory>;
