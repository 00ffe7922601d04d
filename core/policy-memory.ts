import { execFile } from 'node:child_process';
import { freemem } from 'node:os';
import { promisify } from 'node:util';
import type { GpuId } from './contract/hardware.ts';
import type { Freed } from './contract/policy.ts';
import type { GpuSample, TelemetrySample } from './contract/telemetry.ts';
import { residentBytes } from './supervisor/process-usage.ts';
import type { Workers } from './workers.ts';

/** A sample is taken once a second while something works, and for a few seconds after. */
const NEXT_SAMPLE_MS = 1500;
const TOOL_MS = 10_000;
const MIB = 2 ** 20;

/** What tells of the memory of GPUs. */
export interface VramMeter {
  /** The newest sample; null while none is taken. */
  latest(): TelemetrySample | null;
  /** NVIDIA's tool; null where there is none. */
  tool: string | null;
}

/** What the workers hold, and the whole machine had left, before they are killed. */
export interface HeldMemory {
  workers: ReturnType<Workers['usage']>;
  freeBytes: number;
  /** Of the GPUs that compute, as they were told of last. */
  gpus: GpuSample[];
}

/** Null where no worker is there. */
export function heldMemory(workers: Workers, meter: VramMeter): HeldMemory | null {
  if (!workers.running()) return null;
  const ours = new Set(workers.gpus().map(({ gpu }) => gpu));
  const gpus = (meter.latest()?.gpus ?? []).filter(({ gpu }) => ours.has(gpu));
  return { workers: workers.usage(), freeBytes: freemem(), gpus };
}

/** What came back, once they are gone: of their processes where the system tells, else what the whole machine or card has more of. */
export async function freedMemory(held: HeldMemory, meter: VramMeter): Promise<Freed> {
  return { memory: memoryBack(held), vram: held.gpus.length === 0 ? [] : await vramBack(held, meter) };
}

function memoryBack({ workers, freeBytes }: HeldMemory): Freed['memory'] {
  if (workers === null) return { bytes: freemem() - freeBytes, leftBytes: null, by: 'machine' };
  const leftBytes = residentBytes(workers.pids);
  return { bytes: workers.residentBytes - leftBytes, leftBytes, by: 'process' };
}

async function vramBack({ workers, gpus }: HeldMemory, meter: VramMeter): Promise<Freed['vram']> {
  const goneAt = Date.now();
  const left = meter.tool === null || workers === null ? null : await heldOf(meter.tool, new Set(workers.pids));
  const byProcess = gpus.flatMap(({ gpu, memoryOursBytes }): Freed['vram'] => {
    if (left === null || memoryOursBytes === null) return [];
    const leftBytes = left.get(gpu) ?? 0;
    return [{ gpu, bytes: memoryOursBytes - leftBytes, leftBytes, by: 'process' }];
  });
  const others = gpus.filter(({ gpu }) => byProcess.every((each) => each.gpu !== gpu));
  if (others.length === 0) return byProcess;
  await new Promise((resolve) => setTimeout(resolve, NEXT_SAMPLE_MS).unref());
  const after = meter.latest();
  if (after === null || after.at < goneAt) return byProcess;
  const byCard = others.flatMap(({ gpu, memoryUsedBytes }): Freed['vram'] => {
    const now = after.gpus.find((each) => each.gpu === gpu)?.memoryUsedBytes ?? null;
    return memoryUsedBytes === null || now === null ? [] : [{ gpu, bytes: memoryUsedBytes - now, leftBytes: null, by: 'machine' }];
  });
  return [...byProcess, ...byCard];
}

/** What these processes hold on each GPU, as NVIDIA's tool tells now; null where it can't. */
async function heldOf(tool: string, pids: ReadonlySet<number>): Promise<Map<GpuId, number> | null> {
  const args = ['--query-compute-apps=gpu_bus_id,pid,used_memory', '--format=csv,noheader,nounits'];
  const told = await promisify(execFile)(tool, args, { timeout: TOOL_MS, windowsHide: true }).catch(() => null);
  return told === null ? null : heldFromLines(told.stdout, pids);
}

/** Lines as `00000000:01:00.0, 4711, 812`: bus address, process, MiB. Null where memory isn't told, as under Windows' display driver. */
export function heldFromLines(text: string, pids: ReadonlySet<number>): Map<GpuId, number> | null {
  const held = new Map<GpuId, number>();
  for (const line of text.split('\n')) {
    const [bus = '', pid, mebibytes] = line.split(',').map((field) => field.trim());
    if (!pids.has(Number(pid)) || bus === '') continue;
    if (!/^\d+$/.test(mebibytes ?? '')) return null;
    // The tool has a domain of eight digits, the system mostly of four.
    const gpu = bus.toLowerCase().replace(/^0000(?=[0-9a-f]{4}:)/, '');
    held.set(gpu, (held.get(gpu) ?? 0) + Number(mebibytes) * MIB);
  }
  return held;
}
