import type { BackendReport } from '../../core/contract/backends.ts';
import type { Gpu, HardwareReport } from '../../core/contract/hardware.ts';
import type { BreakOutAttempt, IsolationReport } from '../../core/contract/isolation.ts';
import { message } from '../../core/contract/messages.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import { say } from '../words/say.ts';

interface PcHeadline {
  title: string;
  why: string;
  /** Null while it isn't known. */
  number: { value: number; unit: string } | null;
}

/** What this PC has to give and whether it is safe, in words and one number. */
export function pcHeadline({ hardware, backends, isolation }: Pick<Snapshot, 'hardware' | 'backends' | 'isolation'>): PcHeadline {
  if (hardware === null) return { title: message('pc.looking'), why: message('pc.looking.why'), number: null };
  const gpus = computingGpus(hardware);
  const ready = gpus.filter((gpu) => backendsOf(backends, gpu.id).some(({ works, software }) => works && !software)).length;
  const safe = safetyWords(isolation);
  const why = backends.reason === null || gpus.length === 0 ? safe : `${say(backends.reason)} ${safe}`;
  if (gpus.length === 0) {
    const { cores } = hardware.cpu;
    return { title: message('pc.cpu'), why, number: { value: cores, unit: message('pc.cpu.number', { count: cores }) } };
  }
  return { title: readyWords(gpus, ready, backends), why, number: { value: ready, unit: message('pc.gpus.number', { of: gpus.length }) } };
}

function readyWords(gpus: readonly Gpu[], ready: number, backends: BackendReport): string {
  if (ready > 0) return message('pc.gpus', { count: ready });
  const untried = gpus.some((gpu) => backendsOf(backends, gpu.id).length === 0);
  return message(untried ? 'pc.gpus.untried' : 'pc.gpus.unready', { count: gpus.length });
}

/** A divided card computes in its slices alone. */
function computingGpus({ gpus }: HardwareReport): Gpu[] {
  return gpus.filter((gpu) => gpu.mig?.role !== 'parent');
}

export function backendsOf(report: BackendReport, id: string): BackendReport['gpus'][number]['backends'] {
  return report.gpus.find(({ gpu }) => gpu === id)?.backends ?? [];
}

function safetyWords({ level, probe }: IsolationReport): string {
  if (level === 'process') return message('pc.why.open');
  if (probe === null) return message('pc.why.untested');
  if (probe.attempts.some((attempt) => attempt.succeeded)) return message('pc.why.broken');
  return message('pc.why.sealed', { attempts: probe.attempts.filter(isCounted).length });
}

/** Whether an attempt shows a wall of ours: what the bare system denies to everybody shows none. */
export function isCounted({ wall }: BreakOutAttempt): boolean {
  return wall !== 'kernel' && wall !== 'browser';
}
