import type { GpuSample } from '../contract/telemetry.ts';
import { BOUNDS, plausible, reading, scaled } from './reading.ts';
import { throttleReasons } from './throttle.ts';

const MIB = 2 ** 20;
/** nvidia-smi says itself that a fan's share may pass 100 %. */
const FAN_PERCENT = [0, 200] as const;

/** What is asked of each GPU, in this order: properties of `nvidia-smi --query-gpu`. */
export const GPU_FIELDS: readonly string[] = [
  'pci.bus_id',
  'utilization.gpu',
  'memory.total',
  'memory.used',
  'temperature.gpu',
  'fan.speed',
  'power.draw',
  'power.limit',
  'clocks.gr',
  'clocks.mem',
  'clocks_throttle_reasons.active',
];

/** What is asked of each program that computes on a GPU: properties of `nvidia-smi --query-compute-apps`. */
export const APP_FIELDS: readonly string[] = ['timestamp', 'gpu_bus_id', 'pid', 'used_gpu_memory'];

/** A GPU as one line of the stream has it: nothing of whose the memory is. */
export type NvidiaReading = Omit<GpuSample, 'memoryOursBytes' | 'memoryOthersBytes'>;

/** A PCI address in the form that names a GPU: `00000000:0A:00.0` → `0000:0a:00.0`; null where it is none. */
export function pciAddress(text: string | undefined): string | null {
  const match = /^(?:0000)?([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/.exec((text ?? '').trim().toLowerCase());
  return match === null ? null : `${match[1]}:${match[2]}:${match[3]}.${match[4]}`;
}

/**
 * One line of `nvidia-smi --query-gpu=… --format=csv,noheader,nounits`; null where it isn't one (a message, a line cut in half, other fields
 * than asked for). Between fields is a comma and a space, so that a decimal comma is told from it.
 */
export function parseGpuLine(line: string, fields: readonly string[] = GPU_FIELDS): NvidiaReading | null {
  const said = fieldsOf(line, fields);
  const gpu = pciAddress(said?.get('pci.bus_id'));
  if (said === null || gpu === null) return null;
  const value = (name: string, [least, most]: readonly [number, number]) => reading(said.get(name), least, most);
  const mebibytes = (name: string) => rounded(plausible(scaled(value(name, BOUNDS.bytes), MIB), 0, BOUNDS.bytes[1]));
  // 0 of 0 bytes is a card without memory of its own, or one that doesn't tell.
  const memoryTotalBytes = mebibytes('memory.total') || null;
  return {
    gpu,
    utilization: scaled(value('utilization.gpu', BOUNDS.percent), 0.01),
    memoryTotalBytes,
    memoryUsedBytes: memoryTotalBytes === null ? null : plausible(mebibytes('memory.used'), 0, memoryTotalBytes),
    temperatureCelsius: value('temperature.gpu', BOUNDS.celsius),
    fan: fanShare(value('fan.speed', FAN_PERCENT)),
    fanRpm: null,
    powerWatts: value('power.draw', BOUNDS.watts),
    powerLimitWatts: value('power.limit', BOUNDS.watts),
    coreClockMhz: value('clocks.gr', BOUNDS.mhz),
    memoryClockMhz: value('clocks.mem', BOUNDS.mhz),
    throttled: throttleReasons(said.get('clocks_throttle_reasons.active') ?? said.get('clocks_event_reasons.active')),
  };
}

/** Memory that one program holds on one GPU. `stamp` is the same on all lines of one look. */
export interface AppReading {
  stamp: string;
  gpu: string;
  pid: number;
  memoryBytes: number | null;
}

/** One line of `nvidia-smi --query-compute-apps=… --format=csv,noheader,nounits`; null where it isn't one. */
export function parseAppLine(line: string, fields: readonly string[] = APP_FIELDS): AppReading | null {
  const said = fieldsOf(line, fields);
  const gpu = pciAddress(said?.get('gpu_bus_id'));
  const pid = reading(said?.get('pid'), 1, 2 ** 31);
  if (said === null || gpu === null || pid === null) return null;
  const memoryBytes = rounded(scaled(reading(said.get('used_gpu_memory'), 0, 2 ** 30), MIB));
  return { stamp: said.get('timestamp') ?? '', gpu, pid, memoryBytes };
}

/** The property that this version of nvidia-smi doesn't know, from what it says before it ends; null where it says something else. */
export function unknownField(line: string): string | null {
  return /^Field "([\w.]{1,64})" is not a valid field to query/.exec(line.trim())?.[1] ?? null;
}

/** The properties to ask for instead, once one turned out to be unknown: under its newer name, else without it. */
export function withoutField(fields: readonly string[], unknown: string): string[] {
  return fields.flatMap((field) => {
    if (field !== unknown) return [field];
    return field === 'clocks_throttle_reasons.active' ? ['clocks_event_reasons.active'] : [];
  });
}

function fieldsOf(line: string, fields: readonly string[]): Map<string, string> | null {
  const parts = line.trim().split(', ');
  return parts.length === fields.length ? new Map(fields.map((field, at) => [field, parts[at] ?? ''])) : null;
}

function fanShare(percent: number | null): number | null {
  return percent === null ? null : Math.min(1, percent / 100);
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value);
}
