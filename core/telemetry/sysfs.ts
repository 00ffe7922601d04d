import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { BOUNDS, reading, scaled } from './reading.ts';

/** Files of the kernel are one value each; pp_dpm_sclk is a short list. */
const MAX_CHARACTERS = 4096;

/** A small file of the kernel; null where it isn't there, isn't ours to read, or the driver refuses (a GPU without that sensor: EOPNOTSUPP). */
export function readSmall(path: string): string | null {
  try {
    // Read at once and not in the background: a second's worth of these takes less than handing them to another thread would.
    return readFileSync(path, 'utf8').slice(0, MAX_CHARACTERS).trim();
  } catch {
    return null;
  }
}

/** A small file of bytes. */
export function readBytes(path: string): Uint8Array | null {
  try {
    return new Uint8Array(readFileSync(path));
  } catch {
    return null;
  }
}

export function readNumber(path: string, [least, most]: readonly [number, number]): number | null {
  return reading(readSmall(path), least, most);
}

export function list(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
}

/** The name of what a symbolic link leads to; null where it is none. */
export function linkName(path: string): string | null {
  try {
    return basename(readlinkSync(path));
  } catch {
    return null;
  }
}

/** Folders of the sensors that a device has. */
export function sensorsOf(device: string): string[] {
  const hwmon = join(device, 'hwmon');
  return list(hwmon).map((name) => join(hwmon, name));
}

/** hwmon's units (source: Documentation/hwmon/sysfs-interface): thousandths of a degree, millionths of a watt, hertz. */
export function celsius(path: string): number | null {
  return scaled(readNumber(path, [BOUNDS.celsius[0] * 1000, BOUNDS.celsius[1] * 1000]), 1e-3);
}
export function watts(path: string): number | null {
  return scaled(readNumber(path, [BOUNDS.watts[0] * 1e6, BOUNDS.watts[1] * 1e6]), 1e-6);
}
export function mhzOfHertz(path: string): number | null {
  return scaled(readNumber(path, [BOUNDS.mhz[0] * 1e6, BOUNDS.mhz[1] * 1e6]), 1e-6);
}
