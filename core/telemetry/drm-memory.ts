import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pciAddress } from './nvidia-lines.ts';
import { list, readSmall } from './sysfs.ts';

/** What one open file of a GPU tells of the memory behind it. */
interface DrmClient {
  gpu: string;
  /** Files of one client tell the same: it counts once. */
  client: string;
  bytes: number;
}

const UNITS: Record<string, number> = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20 };
/** A GPU's own memory by the names that drivers give it: amdgpu, i915, xe. */
const REGION = /^(?:vram\d*|local\d*)$/;
/** A process has more files only where something is wrong. */
const MAX_FILES = 1024;

/**
 * The GPU's own memory in what the kernel tells of an open file (`/proc/<pid>/fdinfo/<fd>`); null where it is none of a GPU, or doesn't tell. Newer
 * kernels say what is resident, older ones `drm-memory`. Source: the kernel's Documentation/gpu/drm-usage-stats.rst
 */
export function readDrmClient(text: string): DrmClient | null {
  const fields = new Map(
    text.split('\n').map((line): [string, string] => {
      const [name = '', value = ''] = line.split(':\t');
      return [name.trim(), value.trim()];
    }),
  );
  const gpu = pciAddress(fields.get('drm-pdev'));
  const client = fields.get('drm-client-id');
  if (gpu === null || client === undefined) return null;
  for (const kind of ['drm-resident-', 'drm-memory-']) {
    const amounts = [...fields].filter(([name]) => name.startsWith(kind) && REGION.test(name.slice(kind.length)));
    const bytes = amounts.map(([, amount]) => bytesOf(amount));
    if (bytes.length > 0 && bytes.every((each) => each !== null)) return { gpu, client, bytes: bytes.reduce((sum, each) => sum + each, 0) };
  }
  return null;
}

function bytesOf(amount: string | undefined): number | null {
  const match = /^(\d{1,15}) ?(KiB|MiB|)$/.exec(amount ?? '');
  return match === null ? null : Number(match[1]) * (UNITS[match[2] ?? ''] ?? 1);
}

/** Memory that these processes hold on each GPU that the kernel tells of by file. @param proc where /proc is */
export function drmMemory(proc: string, pids: readonly number[]): Map<string, number> {
  const clients = new Map<string, DrmClient>();
  for (const pid of pids) {
    for (const file of list(join(proc, `${pid}/fd`)).slice(0, MAX_FILES)) {
      if (!linksTo(join(proc, `${pid}/fd/${file}`), '/dev/dri/')) continue;
      const client = readDrmClient(readSmall(join(proc, `${pid}/fdinfo/${file}`)) ?? '');
      if (client !== null) clients.set(`${client.gpu} ${client.client}`, client);
    }
  }
  const sums = new Map<string, number>();
  for (const { gpu, bytes } of clients.values()) sums.set(gpu, (sums.get(gpu) ?? 0) + bytes);
  return sums;
}

function linksTo(path: string, start: string): boolean {
  try {
    return readlinkSync(path).startsWith(start);
  } catch {
    return false;
  }
}
