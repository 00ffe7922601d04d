/** One client of a graphics driver, as /proc/PID/fdinfo tells it of an open file. Source: the kernel's drm-usage-stats. */
export interface DrmClient {
  /** PCI address. */
  gpu: string;
  /** Files of one process, or of several, that share a client tell the same of it: it counts once. */
  id: string;
  /** Time that each of the GPU's engines has worked for it, in ns. */
  engineNs: Record<string, number>;
  /** Cycles that each has, and those that have passed meanwhile (Intel's xe). */
  cycles: Record<string, { busy: number; total: number }>;
  /** Memory of the GPU's own; null where it isn't told. */
  vramBytes: number | null;
}

const UNITS: Record<string, number> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
const MAX_LINES = 256;
/** Drivers that have no address on the PCI bus (a phone's) are of no use here. */
const PCI = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** The client that a file's fdinfo tells of; null where it is no graphics driver's, or has no address. */
export function parseFdinfo(text: string): DrmClient | null {
  const facts = new Map<string, string>();
  for (const line of text.split('\n', MAX_LINES)) {
    const colon = line.indexOf(':');
    if (line.startsWith('drm-') && colon > 0) facts.set(line.slice(4, colon), line.slice(colon + 1).trim());
  }
  const [gpu, id] = [facts.get('pdev'), facts.get('client-id')];
  if (gpu === undefined || id === undefined || !PCI.test(gpu)) return null;
  const client: DrmClient = { gpu, id, engineNs: {}, cycles: {}, vramBytes: null };
  for (const [name, value] of facts) {
    const number = Number.parseInt(value, 10);
    if (!(number >= 0)) continue;
    // An engine of which there are several tells how many beside it.
    const count = Math.max(1, Number.parseInt(facts.get(`engine-capacity-${name.replace(/^(engine|cycles)-/, '')}`) ?? '1', 10) || 1);
    if (name.startsWith('engine-') && !name.startsWith('engine-capacity-')) client.engineNs[name.slice(7)] = number / count;
    if (name.startsWith('cycles-')) {
      const total = Number.parseInt(facts.get(`total-${name}`) ?? '', 10);
      if (total >= 0) client.cycles[name.slice(7)] = { busy: number / count, total };
    }
  }
  client.vramBytes = vramBytes(facts);
  return client;
}

/** `resident` is what it takes now; amdgpu's older kernels say `memory`. Regions are called vram, vram0, local. */
function vramBytes(facts: ReadonlyMap<string, string>): number | null {
  for (const kind of ['resident', 'memory']) {
    const regions = [...facts].filter(([name]) => new RegExp(`^${kind}-(vram|local)\\d*$`).test(name));
    if (regions.length > 0) return regions.reduce((sum, [, value]) => sum + bytes(value), 0);
  }
  return null;
}

function bytes(value: string): number {
  const [number, unit] = value.split(/\s+/);
  return (Number(number) || 0) * (UNITS[unit ?? ''] ?? 1);
}

/** What the clients of one GPU do. */
export interface GpuUse {
  /** Share of its time. */
  load: number | null;
  vramBytes: number | null;
}

/**
 * What programs make of each GPU between two looks at their clients. Its load is that of the engine that they use most: it can't do more at once
 * with it. What a client did before it was first looked at is not known, and doesn't count.
 * @param elapsedMs between the looks
 */
export function clientsUse(before: readonly DrmClient[], after: readonly DrmClient[], elapsedMs: number): Map<string, GpuUse> {
  const key = ({ gpu, id }: DrmClient): string => `${gpu} ${id}`;
  const earlier = new Map(before.map((client) => [key(client), client]));
  const seen = new Set<string>();
  const engines = new Map<string, Map<string, number>>();
  const uses = new Map<string, GpuUse>();
  for (const client of after) {
    if (seen.has(key(client))) continue;
    seen.add(key(client));
    const was = earlier.get(key(client));
    const of = engines.get(client.gpu) ?? new Map<string, number>();
    engines.set(client.gpu, of);
    const add = (engine: string, share: number): void => void of.set(engine, (of.get(engine) ?? 0) + Math.max(0, share));
    for (const [engine, ns] of Object.entries(client.engineNs)) {
      if (elapsedMs > 0) add(engine, (ns - (was?.engineNs[engine] ?? ns)) / (elapsedMs * 1e6));
    }
    for (const [engine, { busy, total }] of Object.entries(client.cycles)) {
      const from = was?.cycles[engine] ?? { busy, total };
      if (total > from.total) add(engine, (busy - from.busy) / (total - from.total));
    }
    const use = uses.get(client.gpu) ?? { load: null, vramBytes: null };
    if (client.vramBytes !== null) use.vramBytes = (use.vramBytes ?? 0) + client.vramBytes;
    uses.set(client.gpu, use);
  }
  for (const [gpu, of] of engines) {
    const use = uses.get(gpu);
    if (use !== undefined && of.size > 0) use.load = Math.min(1, Math.max(...of.values()));
  }
  return uses;
}
