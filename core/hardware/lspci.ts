import { isSoftwareAdapter } from '../contract/hardware.ts';
import type { Sighting } from './sighting.ts';
import type { Tool } from './tool.ts';
import { pciVendor, vendorOf } from './vendors.ts';
import { known, pciAddress } from './words.ts';

/** Its names are those of the PCI id list, of which the kernel has none. */
export const LSPCI: Tool = { name: 'lspci', programs: ['lspci', '/sbin/lspci', '/usr/sbin/lspci'], args: ['-D', '-nn', '-k'] };

const DISPLAY = /^(VGA compatible controller|3D controller|Display controller|XGA compatible controller)(?: \[03[0-9a-f]{2}\])?: (.+)$/i;
const DEVICE = /^((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) (.+)$/i;

/** The display devices that lspci lists, with or without `-nn`, `-k` and `-D`, and with any of its `-v`; of every other output, none. */
export function parseLspci(output: string): Sighting[] {
  const found: Sighting[] = [];
  let current: Sighting | null = null;
  for (const line of output.split(/\r?\n/)) {
    const [, address, rest] = DEVICE.exec(line) ?? [];
    if (address !== undefined && rest !== undefined) {
      const [, , device] = DISPLAY.exec(rest) ?? [];
      current = device === undefined ? null : { ...deviceFacts(device), source: 'lspci', address: pciAddress(address) };
      if (current !== null) found.push(current);
    } else if (current !== null) {
      current.driver ??= known(/^\s*Kernel driver in use: (\S+)/.exec(line)?.[1]);
    }
  }
  return found;
}

/** `NVIDIA Corporation GA102 [GeForce RTX 3080] [10de:2206] (rev a1) (prog-if 00 [VGA controller])` */
function deviceFacts(text: string): Omit<Sighting, 'source'> {
  const plain = text.replace(/ \(prog-if .*\)$/, '').replace(/ \(rev [0-9a-f]{2}\)$/, '');
  const [, named = plain, vendorId, deviceId] = /^(.*) \[([0-9a-f]{4}):([0-9a-f]{4})\]$/.exec(plain) ?? [];
  const vendor = pciVendor(vendorId)?.name ?? vendorOf(named);
  const device = named.replace(MAKERS, '').trim();
  const [, chip = device, sold] = /^(.*?)\s*\[(.+)\]$/.exec(device) ?? [];
  const isNameless = /^Device [0-9a-f]{4}$/i.test(device);
  return {
    vendorId: vendorId ?? null,
    deviceId: deviceId ?? null,
    vendor,
    name: isNameless ? null : known(sold === undefined ? device : soldAs(vendor, sold)),
    model: isNameless || sold === undefined ? null : known(chip),
    software: pciVendor(vendorId)?.software ?? isSoftwareAdapter(named),
  };
}

/** Makers as the PCI id list writes them, before the device. */
const MAKERS =
  /^(NVIDIA Corporation|Advanced Micro Devices, Inc\. \[AMD\/ATI\]|Advanced Micro Devices, Inc\. \[AMD\]|Advanced Micro Devices \[AMD\] nee ATI|Intel Corporation|Red Hat, Inc\.|VMware|Microsoft Corporation|InnoTek Systemberatung GmbH|ASPEED Technology, Inc\.|Matrox Electronics Systems Ltd\.|Cirrus Logic|Apple Inc\.) /;

/** The list's brackets hold the product without its maker: `GeForce RTX 3080`, `Radeon RX 6700/6700 XT / 6800M`. */
function soldAs(vendor: string | null, sold: string): string {
  return vendor === null || sold.toLowerCase().includes(vendor.toLowerCase()) ? sold : `${vendor} ${sold}`;
}
