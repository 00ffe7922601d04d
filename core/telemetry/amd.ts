import { join } from 'node:path';
import type { GpuSample } from '../contract/telemetry.ts';
import { amdThrottle } from './amd-metrics.ts';
import { BOUNDS, plausible, reading, scaled } from './reading.ts';
import { celsius, mhzOfHertz, readBytes, readNumber, readSmall, sensorsOf, watts } from './sysfs.ts';

/** What amdgpu tells of a card in its folder of /sys. Source: the kernel's Documentation/gpu/amdgpu/thermal.rst and driver-misc.rst */
export function readAmd(gpu: string, device: string): GpuSample {
  const sensors = sensorsOf(device)[0] ?? null;
  const sensor = <T>(read: (path: string) => T | null, ...names: string[]): T | null => {
    if (sensors === null) return null;
    for (const name of names) {
      const value = read(join(sensors, name));
      if (value !== null) return value;
    }
    return null;
  };
  const count = (path: string) => readNumber(path, BOUNDS.bytes);
  const memoryTotalBytes = count(join(device, 'mem_info_vram_total')) || null;
  const memoryUsedBytes = memoryTotalBytes === null ? null : plausible(count(join(device, 'mem_info_vram_used')), 0, memoryTotalBytes);
  return {
    gpu,
    utilization: scaled(readNumber(join(device, 'gpu_busy_percent'), BOUNDS.percent), 0.01),
    memoryTotalBytes,
    memoryUsedBytes,
    // Whose it is, the kernel tells by the files that programs have open.
    memoryOursBytes: null,
    memoryOthersBytes: null,
    temperatureCelsius: sensor(celsius, 'temp1_input'),
    fan: fanShare(
      sensor((path) => readNumber(path, [0, 1e6]), 'pwm1'),
      sensor((path) => readNumber(path, [1, 1e6]), 'pwm1_max'),
    ),
    fanRpm: sensor((path) => readNumber(path, BOUNDS.rpm), 'fan1_input'),
    // Newer cards (RDNA 3, APUs) have the moment's power and no average.
    powerWatts: sensor(watts, 'power1_average', 'power1_input'),
    powerLimitWatts: sensor(watts, 'power1_cap') || null,
    coreClockMhz: sensor(mhzOfHertz, 'freq1_input') ?? activeLevelMhz(readSmall(join(device, 'pp_dpm_sclk'))),
    memoryClockMhz: sensor(mhzOfHertz, 'freq2_input') ?? activeLevelMhz(readSmall(join(device, 'pp_dpm_mclk'))),
    throttled: amdThrottle(readBytes(join(device, 'gpu_metrics'))),
  };
}

function fanShare(pwm: number | null, most: number | null): number | null {
  return pwm === null || most === null ? null : plausible(pwm / most, 0, 1);
}

/** The clock of the level in use, which a star marks: `1: 1100Mhz *`. */
export function activeLevelMhz(levels: string | null): number | null {
  const active = /^\w+: *(\d+) *mhz \*$/im.exec(levels ?? '')?.[1];
  return reading(active, ...BOUNDS.mhz);
}
