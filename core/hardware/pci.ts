import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PciAdapter } from './gpus.ts';

const MAX_DEVICES = 4096;

/**
 * The display devices on a Linux machine's PCI bus (class 03xxxx), read from /sys and /proc alone: nothing is started and no sleeping GPU is
 * woken. Empty where there is no /sys.
 */
export async function readPciAdapters(root = '/'): Promise<PciAdapter[]> {
  const devices = join(root, 'sys/bus/pci/devices');
  const addresses = await readdir(devices).catch(() => []);
  const adapters: PciAdapter[] = [];
  for (const address of addresses.slice(0, MAX_DEVICES).sort()) {
    const at = join(devices, address);
    if (!/^0x03/.test(await line(join(at, 'class')))) continue;
    const [vendorId, deviceId] = [await line(join(at, 'vendor')), await line(join(at, 'device'))].map((id) => id.replace(/^0x/, ''));
    if (!vendorId || !deviceId) continue;
    const vram = Number(await line(join(at, 'mem_info_vram_total')));
    const nvidia = await line(join(root, 'proc/driver/nvidia/gpus', address, 'information'));
    adapters.push({
      address,
      vendorId,
      deviceId,
      vramBytes: Number.isSafeInteger(vram) && vram > 0 ? vram : null,
      name: /^Model:\s*(.+)$/m.exec(nvidia)?.[1]?.trim() ?? null,
    });
  }
  return adapters;
}

/** A small file's text; empty where there is none, which most of these files are on most machines. */
async function line(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).trim();
}
