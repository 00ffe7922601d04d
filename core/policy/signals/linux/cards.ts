import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

type CardMaker = 'amd' | 'intel' | 'nvidia';
const MAKERS: Record<string, CardMaker> = { '0x1002': 'amd', '0x8086': 'intel', '0x10de': 'nvidia' };
const MAX_DEVICES = 4096;

/** A graphics card on the PCI bus. */
export interface Card {
  /** Its address, as GpuId has it. */
  id: string;
  maker: CardMaker;
}

/** The graphics cards (PCI class 03) of the makers whose drivers tell who uses them, by address. Empty where there is no /sys. */
export function listCards(root = '/'): Card[] {
  const folder = join(root, 'sys/bus/pci/devices');
  let ids: string[];
  try {
    ids = readdirSync(folder).slice(0, MAX_DEVICES).sort();
  } catch {
    return [];
  }
  return ids.flatMap((id) => {
    const maker = MAKERS[readCard(root, id, 'vendor') ?? ''];
    return maker !== undefined && readCard(root, id, 'class')?.startsWith('0x03') ? [{ id, maker }] : [];
  });
}

/** A file of a card's; null where there is none, or the driver doesn't answer. */
function readCard(root: string, id: string, file: string): string | null {
  try {
    return readFileSync(join(root, 'sys/bus/pci/devices', id, file), 'utf8').trim();
  } catch {
    return null;
  }
}

/** A number of a card's; null where it isn't told. */
export function readCardNumber(root: string, id: string, file: string): number | null {
  const text = readCard(root, id, file);
  return text !== null && /^\d+$/.test(text) ? Number(text) : null;
}

/** Whether a card is asleep, or would be if it were left alone. To look at anything else of it may wake it, or keep it awake. */
export function sleepOf(root: string, id: string): { asleep: boolean; maySleep: boolean } {
  const status = readCard(root, id, 'power/runtime_status');
  return { asleep: status === 'suspended' || status === 'suspending', maySleep: readCard(root, id, 'power/control') === 'auto' };
}
