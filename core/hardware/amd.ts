import { z } from 'zod';
import type { Sighting } from './sighting.ts';
import type { Tool } from './tool.ts';
import { bytes, count, known, pciAddress, pcieGeneration, pciId, sizeBytes } from './words.ts';

export const ROCM_SMI: Tool = {
  name: 'rocm-smi',
  programs: ['rocm-smi', '/opt/rocm/bin/rocm-smi'],
  args: ['--showproductname', '--showbus', '--showmeminfo', 'vram', '--showid', '--showdriverversion', '--json'],
};

/** What takes rocm-smi's place from ROCm 6 on. */
export const AMD_SMI: Tool = {
  name: 'amd-smi',
  programs: ['amd-smi', '/opt/rocm/bin/amd-smi'],
  args: ['static', '--asic', '--bus', '--vram', '--driver', '--json'],
};

const AMD = '1002';
const Cards = z.record(z.string(), z.record(z.string(), z.unknown()));

/** The cards in what `rocm-smi --json` says, of whatever it was asked; null where it is no such document. Its keys change between versions. */
export function parseRocmSmi(output: string): Sighting[] | null {
  const parsed = Cards.safeParse(jsonIn(output));
  if (!parsed.success) return null;
  const driverVersion = known(parsed.data.system?.['Driver version']);
  const cards = Object.entries(parsed.data).filter(([key]) => /^card\d+$/.test(key));
  return cards.map(([, card]) => {
    const fact = (...keys: string[]): unknown => keys.map((key) => card[key]).find((value) => known(value) !== null);
    const series = known(fact('Card Series', 'Card series', 'Device Name'));
    const [, chip, sold] = /^(.*?)\s*\[(.+)\]$/.exec(series ?? '') ?? [];
    // From ROCm 6 on the id is told as the card's model too; before, that was the subsystem's.
    const model = known(fact('Device Name'));
    return {
      source: 'rocm-smi' as const,
      address: pciAddress(fact('PCI Bus')),
      vendorId: AMD,
      deviceId: pciId(fact('Device ID', 'GPU ID')) ?? (card['Card Model'] === undefined ? null : pciId(fact('Card Model'))),
      vendor: 'AMD',
      name: nameOf(sold ?? series),
      model: chip !== undefined && chip !== '' ? chip : model === series ? null : model,
      vramBytes: bytes(fact('VRAM Total Memory (B)')),
      driver: 'amdgpu',
      driverVersion,
    };
  });
}

const Static = z.object({
  asic: z.record(z.string(), z.unknown()).optional().catch(undefined),
  bus: z.record(z.string(), z.unknown()).optional().catch(undefined),
  vram: z.record(z.string(), z.unknown()).optional().catch(undefined),
  driver: z.record(z.string(), z.unknown()).optional().catch(undefined),
});
/** Before ROCm 7 the list was the document. */
const StaticReport = z.union([z.array(Static), z.object({ gpu_data: z.array(Static) }).transform(({ gpu_data }) => gpu_data)]);
const Quantity = z.object({ value: z.number(), unit: z.string() });

/** The GPUs in what `amd-smi static --json` says; null where it is no such document. */
export function parseAmdSmi(output: string): Sighting[] | null {
  const parsed = StaticReport.safeParse(jsonIn(output));
  if (!parsed.success) return null;
  return parsed.data.map(({ asic = {}, bus = {}, vram = {}, driver = {} }) => {
    const size = Quantity.safeParse(vram.size);
    const speed = Quantity.safeParse(bus.max_pcie_speed);
    const maxWidth = count(bus.max_pcie_width, 1, 32);
    const maxGeneration = speed.success && speed.data.unit === 'GT/s' ? pcieGeneration(speed.data.value) : null;
    return {
      source: 'amd-smi' as const,
      address: pciAddress(bus.bdf),
      vendorId: AMD,
      deviceId: pciId(asic.device_id),
      vendor: 'AMD',
      name: nameOf(known(asic.market_name)),
      vramBytes: size.success ? sizeBytes(`${size.data.value} ${size.data.unit}`) : null,
      driver: known(driver.name),
      driverVersion: inTree(known(driver.version)),
      link: maxWidth === null && maxGeneration === null ? null : { width: null, maxWidth, generation: null, maxGeneration },
    };
  });
}

/** Where the driver is the kernel's own, it tells the kernel's whole banner: `Linuxversion6.14.0-24-generic(buildd@…`. */
function inTree(version: string | null): string | null {
  return /^Linux\s?version\s?([\w.+-]+)/.exec(version ?? '')?.[1] ?? version;
}

/** Some versions tell an id where the name should be. */
function nameOf(name: string | null | undefined): string | null {
  if (name == null || /^0x[0-9a-f]+$/i.test(name)) return null;
  return /\bamd\b/i.test(name) ? name : `AMD ${name}`;
}

/** The JSON in the output: both tools may warn before it. */
function jsonIn(output: string): unknown {
  const start = output.search(/^\s*[[{]/m);
  if (start < 0) return undefined;
  try {
    return JSON.parse(output.slice(start));
  } catch {
    return undefined;
  }
}
