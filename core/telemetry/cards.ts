import { join } from 'node:path';
import type { GpuSample } from '../contract/telemetry.ts';
import { readAmd } from './amd.ts';
import { intelReader } from './intel.ts';
import { pciAddress } from './nvidia-lines.ts';
import { linkName, list, readSmall } from './sysfs.ts';

const MAX_CARDS = 64;

/** A card that the kernel tells of in /sys. */
interface Card {
  gpu: string;
  device: string;
  read(nowMs: number): GpuSample;
}

/**
 * The AMD and Intel cards below /sys (`root`, elsewhere in tests), each with what reads it. NVIDIA's driver tells nothing there.
 */
export function findCards(root = '/'): Card[] {
  const drm = join(root, 'sys/class/drm');
  const cards: Card[] = [];
  for (const name of list(drm)) {
    if (!/^card\d+$/.test(name) || cards.length === MAX_CARDS) continue;
    const card = join(drm, name);
    const device = join(card, 'device');
    const gpu = pciAddress(linkName(device) ?? undefined);
    if (gpu === null) continue;
    const vendor = readSmall(join(device, 'vendor'));
    if (vendor === '0x1002') cards.push({ gpu, device, read: () => readAmd(gpu, device) });
    if (vendor === '0x8086') cards.push({ gpu, device, read: intelReader(gpu, card, device) });
  }
  return cards;
}

/** What is known of a card just now; null while it sleeps, since to read its sensors would wake it. */
export function readCard({ device, read }: Card, nowMs: number): GpuSample | null {
  return readSmall(join(device, 'power/runtime_status')) === 'suspended' ? null : read(nowMs);
}
