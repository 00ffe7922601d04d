import { readdir, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Gpu } from '../contract/hardware.ts';
import type { Sighting } from './sighting.ts';
import { smallFile } from './small-file.ts';
import { pciVendor } from './vendors.ts';
import { bytes, count, known, pciAddress, pcieGeneration, pciId } from './words.ts';

const MAX_DEVICES = 4096;
const MAX_BRIDGES = 8;
/** Drivers that are a part of the kernel and have its version where they tell none. */
const IN_TREE = /^(amdgpu|radeon|i915|xe|nouveau|msm|v3d)$/;

/**
 * The display devices on a Linux machine's PCI bus (class 03xxxx), read from /sys and /proc alone: nothing is started and no sleeping GPU is
 * woken. Empty where there is no /sys.
 * @param kernel the kernel's release, which is the version of the drivers in it
 */
export async function readPciBus(root: string, kernel: string): Promise<Sighting[]> {
  const devices = join(root, 'sys/bus/pci/devices');
  const addresses = (await readdir(devices).catch(() => [])).slice(0, MAX_DEVICES).sort();
  const classes = await Promise.all(addresses.map((address) => smallFile(join(devices, address, 'class'))));
  const displays = addresses.filter((_, index) => /^0x03/.test(classes[index] as string));
  return (await Promise.all(displays.map((address) => readDevice(root, join(devices, address), address, kernel)))).filter(
    (sighting) => sighting !== null,
  );
}

async function readDevice(root: string, at: string, address: string, kernel: string): Promise<Sighting | null> {
  const [vendor, device, vram, product, removable, nvidia, driver, physical] = await Promise.all([
    smallFile(join(at, 'vendor')),
    smallFile(join(at, 'device')),
    smallFile(join(at, 'mem_info_vram_total')),
    smallFile(join(at, 'product_name')),
    smallFile(join(at, 'removable')),
    smallFile(join(root, 'proc/driver/nvidia/gpus', address, 'information')),
    readlink(join(at, 'driver')).catch(() => null),
    readlink(join(at, 'physfn')).catch(() => null),
  ]);
  const [vendorId, deviceId] = [pciId(vendor), pciId(device)];
  if (vendorId === null || deviceId === null) return null;
  const driverName = driver === null ? null : known(basename(driver));
  const version = driverName === null ? null : known(await smallFile(join(root, 'sys/module', driverName.replaceAll('-', '_'), 'version')));
  return {
    source: 'pci',
    address: pciAddress(address),
    vendorId,
    deviceId,
    vendor: pciVendor(vendorId)?.name ?? null,
    name: known(product) ?? known(/^Model:\s*(.+)$/m.exec(nvidia)?.[1]),
    vramBytes: bytes(vram),
    driver: driverName,
    driverVersion: version ?? (driverName !== null && IN_TREE.test(driverName) ? kernel : null),
    // A part of a card, which its own machine hands to virtual ones.
    ...(physical === null ? {} : { kind: 'virtual' as const }),
    external: removable === 'removable' ? true : removable === 'fixed' ? false : null,
    link: await readLink(at),
    software: pciVendor(vendorId)?.software ?? false,
  };
}

/**
 * The link between card and slot. Cards of AMD and Intel have a switch of their own before the GPU, whose inner link says nothing; where there
 * is one, the card's outer end counts. The most is what both ends can.
 */
async function readLink(at: string): Promise<Gpu['link']> {
  let card = await realpath(at).catch(() => at);
  for (let bridges = 0; bridges < MAX_BRIDGES && (await isCardsOwnSwitch(dirname(card))); bridges += 1) card = dirname(card);
  const [own, port] = await Promise.all([readEnd(card), readEnd(dirname(card))]);
  const link = {
    width: own.width,
    maxWidth: least(own.maxWidth, port.maxWidth),
    generation: own.generation,
    maxGeneration: least(own.maxGeneration, port.maxGeneration),
  };
  return Object.values(link).every((fact) => fact === null) ? null : link;
}

async function isCardsOwnSwitch(at: string): Promise<boolean> {
  const [kind, vendor, device] = await Promise.all(['class', 'vendor', 'device'].map((file) => smallFile(join(at, file))));
  if (!/^0x0604/.test(kind as string)) return false;
  // Processors with bridges of their own are AMD's 1022, but Intel's 8086 too: there the card's are known by number (DG2, Battlemage).
  return vendor === '0x1002' || (vendor === '0x8086' && /^0x(4fa[0-9a-f]|e2f[0-9a-f])$/.test(device as string));
}

async function readEnd(at: string): Promise<NonNullable<Gpu['link']>> {
  const [width, maxWidth, speed, maxSpeed] = await Promise.all(
    ['current_link_width', 'max_link_width', 'current_link_speed', 'max_link_speed'].map((file) => smallFile(join(at, file))),
  );
  return {
    width: count(width, 1, 32),
    maxWidth: count(maxWidth, 1, 32),
    generation: pcieGeneration(speed),
    maxGeneration: pcieGeneration(maxSpeed),
  };
}

function least(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other);
}
