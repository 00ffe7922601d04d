import { join } from 'node:path';
import type { GpuSample, ThrottleReason } from '../contract/telemetry.ts';
import { powerMeter } from './energy-counter.ts';
import { BOUNDS } from './reading.ts';
import { celsius, list, readNumber, readSmall, sensorsOf, watts } from './sysfs.ts';

const COUNTER = [0, Number.MAX_SAFE_INTEGER] as const;

/** Names of the files that say why a clock is held down, the same words in i915 and xe. Source: the kernel's ABI documentation of both */
const REASONS: readonly [RegExp, ThrottleReason][] = [
  [/(^|_)pl[124]$/, 'power'],
  [/thermal|prochot|ratl/, 'thermal'],
  [/vr_|tdc|fastvmode|mem_therm|psys/, 'hardware'],
];

/** What i915 and xe tell of a GPU in their folders of /sys: of integrated ones little more than the clock. Keeps the counter's last count. */
export function intelReader(gpu: string, card: string, device: string): (nowMs: number) => GpuSample {
  const power = powerMeter(BOUNDS.watts[1]);
  return (nowMs) => {
    const sensors = sensorsOf(device)[0] ?? null;
    const sensor = <T>(read: (path: string) => T | null, ...names: string[]): T | null =>
      sensors === null ? null : (names.map((name) => read(join(sensors, name))).find((value) => value !== null) ?? null);
    // i915 and xe of a card with a counter for all of it: energy1; xe otherwise has the chip's alone, energy2.
    const microjoules = sensor((path) => readNumber(path, COUNTER), 'energy1_input', 'energy2_input');
    return {
      gpu,
      utilization: null,
      memoryTotalBytes: null,
      memoryUsedBytes: null,
      memoryOursBytes: null,
      memoryOthersBytes: null,
      // xe: temp2 is the package's, temp3 the memory's; i915: temp1.
      temperatureCelsius: sensor(celsius, 'temp2_input', 'temp1_input'),
      fan: null,
      fanRpm: sensor((path) => readNumber(path, BOUNDS.rpm), 'fan1_input'),
      powerWatts: power(microjoules, nowMs, null),
      // The cap is what is kept to; power1_crit is where the card is cut off.
      powerLimitWatts: sensor(watts, 'power1_cap', 'power1_max', 'power2_max') || null,
      coreClockMhz: clock(card, device),
      memoryClockMhz: null,
      throttled: throttled(card, device),
    };
  };
}

/** The clock that the GPU has, not the one that was asked for. A GPU asleep has none: 0. */
function clock(card: string, device: string): number | null {
  const paths = [
    join(card, 'gt/gt0/rps_act_freq_mhz'),
    join(card, 'gt_act_freq_mhz'),
    join(card, 'gt_cur_freq_mhz'),
    join(device, 'tile0/gt0/freq0/act_freq'),
  ];
  for (const path of paths) {
    const mhz = readNumber(path, BOUNDS.mhz);
    if (mhz !== null) return mhz;
  }
  return null;
}

function throttled(card: string, device: string): ThrottleReason[] | null {
  const folders = [join(card, 'gt/gt0'), join(device, 'tile0/gt0/freq0/throttle')];
  for (const folder of folders) {
    const files = list(folder).filter((name) => /^(throttle_)?reason_/.test(name) && !name.endsWith('_status'));
    if (files.length === 0) continue;
    const active = files.filter((name) => readSmall(join(folder, name)) === '1').map((name) => name.replace(/^(throttle_)?reason_/, ''));
    return [...new Set(active.map((name) => REASONS.find(([pattern]) => pattern.test(name))?.[1] ?? 'hardware'))];
  }
  return null;
}
