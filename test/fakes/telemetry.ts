import type { CpuSample, GpuSample, TelemetrySample } from '../../core/contract/telemetry.ts';

const GB = 2 ** 30;

export function cpuSample(fields: Partial<CpuSample> = {}): CpuSample {
  return {
    utilization: 0.42,
    temperatureCelsius: 61,
    powerWatts: 48.2,
    clockMhz: 3400,
    throttled: [],
    workerCores: 0.9,
    workerMemoryBytes: GB,
    memoryTotalBytes: 32 * GB,
    memoryUsedBytes: 11 * GB,
    ...fields,
  };
}

export function gpuSample(fields: Partial<GpuSample> = {}): GpuSample {
  return {
    gpu: '0000:01:00.0',
    utilization: 0.93,
    memoryTotalBytes: 24 * GB,
    memoryUsedBytes: 9 * GB,
    memoryOursBytes: 7 * GB,
    memoryOthersBytes: 2 * GB,
    temperatureCelsius: 66,
    fan: 0.4,
    fanRpm: null,
    powerWatts: 287,
    powerLimitWatts: 350,
    coreClockMhz: 1800,
    memoryClockMhz: 9500,
    throttled: [],
    ...fields,
  };
}

/** A sample a second until `end`, in which load and heat rise and fall. */
export function samples(count: number, end: number, make: (wave: number) => Partial<TelemetrySample> = () => ({})): TelemetrySample[] {
  return Array.from({ length: count }, (_, index) => {
    const wave = 0.5 + 0.5 * Math.sin(index / 9) * Math.cos(index / 23);
    return { at: end - (count - 1 - index) * 1000, cpu: cpuSample({ utilization: 0.2 + 0.4 * wave }), gpus: [], ...make(wave) };
  });
}
