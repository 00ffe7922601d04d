import type { HardwareReport } from '../../core/contract/hardware.ts';
import type { IsolationReport } from '../../core/contract/isolation.ts';
import { message } from '../../core/contract/messages.ts';

/** What this PC has to give and whether it is safe, in words and one number; the number is null while it isn't known. */
export function pcHeadline(
  hardware: HardwareReport | null,
  isolation: IsolationReport,
): { title: string; why: string; number: { value: number; unit: string } | null } {
  if (hardware === null) return { title: message('pc.looking'), why: message('pc.looking.why'), number: null };
  // A divided card computes in its slices alone.
  const count = hardware.gpus.filter((gpu) => gpu.mig?.role !== 'parent').length;
  const { cores } = hardware.cpu;
  const why = safetyWords(isolation);
  if (count === 0) return { title: message('pc.cpu'), why, number: { value: cores, unit: message('pc.cpu.number', { count: cores }) } };
  return { title: message('pc.gpus', { count }), why, number: { value: count, unit: message('pc.gpus.number', { count }) } };
}

function safetyWords({ level, probe }: IsolationReport): string {
  if (level === 'process') return message('pc.why.open');
  if (probe === null) return message('pc.why.untested');
  if (probe.attempts.some((attempt) => attempt.succeeded)) return message('pc.why.broken');
  return message('pc.why.sealed', { attempts: probe.attempts.length });
}
