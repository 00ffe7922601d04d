import { freemem, totalmem } from 'node:os';
import { join } from 'node:path';
import type { CpuSample, ThrottleReason } from '../contract/telemetry.ts';
import { powerMeter } from './energy-counter.ts';
import { plausible, scaled } from './reading.ts';
import { celsius, list, readNumber, readSmall } from './sysfs.ts';

const COUNTER = [0, Number.MAX_SAFE_INTEGER] as const;
/** Names of hwmon devices that measure a processor. */
const CPU_SENSORS = new Set(['coretemp', 'k10temp', 'zenpower', 'cpu_thermal']);
/** No package takes more; several together don't either on what people have. */
const MOST_WATTS = 5000;

/** What our workers use: processor time so far and memory. */
export interface WorkerUsage {
  cpuMs: number;
  residentBytes: number;
}

/** Reads the processor from Linux' files below `root`; elsewhere only memory and what our workers use is known. */
export function cpuReader(root = '/'): (nowMs: number, workers: WorkerUsage | null) => CpuSample {
  const sys = (path: string) => join(root, 'sys', path);
  const packages = list(sys('class/powercap')).filter((name) => /^intel-rapl:\d+$/.test(name));
  const meters = packages
    .map((name) => sys(`class/powercap/${name}`))
    .filter((folder) => /^package/.test(readSmall(join(folder, 'name')) ?? ''))
    .map((folder) => ({ folder, power: powerMeter(MOST_WATTS), range: readNumber(join(folder, 'max_energy_range_uj'), COUNTER) }));
  const temperature = temperatureFile(sys('class/hwmon'));
  const throttles = sys('devices/system/cpu/cpu0/thermal_throttle/package_throttle_count');
  let ticks: { busy: number; all: number } | null = null;
  let throttleCount: number | null = null;
  let worker: { cpuMs: number; atMs: number } | null = null;

  function power(nowMs: number): number | null {
    const each = meters.map(({ folder, power, range }) => power(readNumber(join(folder, 'energy_uj'), COUNTER), nowMs, range));
    return each.length === 0 || each.includes(null) ? null : each.reduce<number>((sum, watts) => sum + (watts ?? 0), 0);
  }

  function utilization(): number | null {
    const before = ticks;
    ticks = readTicks(readSmall(join(root, 'proc/stat')));
    if (before === null || ticks === null || ticks.all <= before.all) return null;
    return plausible((ticks.busy - before.busy) / (ticks.all - before.all), 0, 1);
  }

  function throttled(): ThrottleReason[] | null {
    const before = throttleCount;
    throttleCount = readNumber(throttles, COUNTER);
    if (before === null || throttleCount === null) return null;
    return throttleCount > before ? ['thermal'] : [];
  }

  function workerCores(usage: WorkerUsage | null, nowMs: number): number | null {
    const before = worker;
    worker = usage === null ? null : { cpuMs: usage.cpuMs, atMs: nowMs };
    if (before === null || worker === null || nowMs <= before.atMs) return null;
    // Less than before: another process has taken its place.
    return plausible((worker.cpuMs - before.cpuMs) / (nowMs - before.atMs), 0, 4096);
  }

  return (nowMs, usage) => {
    const memoryTotalBytes = totalmem();
    return {
      utilization: utilization(),
      temperatureCelsius: temperature === null ? null : celsius(temperature),
      powerWatts: power(nowMs),
      clockMhz: scaled(readNumber(sys('devices/system/cpu/cpu0/cpufreq/scaling_cur_freq'), [1000, 1e7]), 1e-3),
      throttled: throttled(),
      workerCores: workerCores(usage, nowMs),
      workerMemoryBytes: usage?.residentBytes ?? null,
      memoryTotalBytes,
      memoryUsedBytes: plausible(memoryTotalBytes - freemem(), 0, memoryTotalBytes),
    };
  };
}

/** The sensor of the processor as a whole: of several temperatures the package's, the control value, else the first. */
function temperatureFile(hwmon: string): string | null {
  for (const name of list(hwmon)) {
    const folder = join(hwmon, name);
    if (!CPU_SENSORS.has(readSmall(join(folder, 'name')) ?? '')) continue;
    const inputs = list(folder).filter((file) => /^temp\d+_input$/.test(file));
    const whole = inputs.find((file) => /^(package|tctl|tdie)/i.test(readSmall(join(folder, file.replace('_input', '_label'))) ?? ''));
    const input = whole ?? inputs[0];
    if (input !== undefined) return join(folder, input);
  }
  return null;
}

/** Busy and all ticks of the first line of /proc/stat. Idle and waiting for a disk are not busy; guests are counted in user time already. */
export function readTicks(stat: string | null): { busy: number; all: number } | null {
  const ticks =
    /^cpu +(\d[\d ]*)/
      .exec(stat ?? '')?.[1]
      ?.trim()
      .split(/ +/)
      .map(Number) ?? [];
  if (ticks.length < 4) return null;
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0] = ticks;
  const busy = user + nice + system + irq + softirq + steal;
  return { busy, all: busy + idle + wait };
}
