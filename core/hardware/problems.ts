import type { Gpu, HardwareProblem } from '../contract/hardware.ts';
import { type MessageKey, ref } from '../contract/messages.ts';
import { type NvidiaComplaint, nvidiaComplaint } from './nvidia-smi.ts';
import type { ToolAnswer } from './tool.ts';

/** What became of asking a tool; `unreadable` when it answered with something else than it is known to. */
export interface Asked {
  tool: string;
  answer: ToolAnswer;
  unreadable: boolean;
}

const COMPLAINTS: Record<NvidiaComplaint, MessageKey> = {
  mismatch: 'hardware.nvidia-mismatch',
  'not-loaded': 'hardware.nvidia-not-loaded',
  'no-devices': 'hardware.nvidia-no-devices',
  blocked: 'hardware.nvidia-blocked',
};

/**
 * What keeps GPUs or sources from being used, and what to do about it. A tool that isn't there is no problem: each has a stand-in.
 * @param busIsKnown whether `gpus` has what no driver has too, as on Linux, except in WSL
 */
export function hardwareProblems(gpus: readonly Gpu[], asked: readonly Asked[], busIsKnown: boolean): HardwareProblem[] {
  const hasNvidia = gpus.some(({ vendor }) => vendor === 'NVIDIA');
  const complaints = asked.flatMap(({ tool, answer }) =>
    tool === 'nvidia-smi' && 'said' in answer ? (nvidiaComplaint(answer.said) ?? []) : [],
  );
  // That a driver finds no card is as it should be where there is none.
  const told = complaints.filter((complaint) => hasNvidia || !busIsKnown || complaint === 'mismatch');
  return [
    ...told.map((complaint) => problem(null, COMPLAINTS[complaint], {})),
    ...asked.filter(({ tool }) => tool !== 'nvidia-smi' || complaints.length === 0).flatMap(toolProblems),
    ...(busIsKnown ? gpus.filter(({ vendor }) => vendor !== 'NVIDIA' || told.length === 0).flatMap(driverProblems) : []),
  ];
}

function toolProblems({ tool, answer, unreadable }: Asked): HardwareProblem[] {
  switch (answer.outcome) {
    case 'timeout':
      return [
        tool === 'systeminformation' ? problem(null, 'hardware.windows-timeout', {}) : problem(null, 'hardware.tool-timeout', { tool }),
      ];
    case 'flooded':
      return [problem(null, 'hardware.tool-flooded', { tool })];
    case 'answered':
      return unreadable ? [problem(null, 'hardware.tool-unreadable', { tool })] : [];
    default:
      // It isn't there, or has nothing to tell: what a tool says on a machine that has none of its cards is nobody's business.
      return [];
  }
}

/** A GPU on the bus that no driver, or one that can't compute, has. */
function driverProblems({ id, name, vendor, pci, driver, mig }: Gpu): HardwareProblem[] {
  if (pci?.address == null || mig !== null) return [];
  if (driver === 'vfio-pci') return [problem(id, 'hardware.gpu-set-aside', { name })];
  if (vendor === 'NVIDIA' && (driver === null || driver === 'nouveau' || driver === 'nova_core')) {
    return [problem(id, 'hardware.nvidia-no-driver', { name })];
  }
  if ((vendor === 'AMD' || vendor === 'Intel') && driver === null) return [problem(id, 'hardware.gpu-no-driver', { name })];
  return [];
}

function problem(gpu: HardwareProblem['gpu'], key: MessageKey, params: Record<string, string>): HardwareProblem {
  return { gpu, what: ref(key, params), next: ref(`${key}.next` as MessageKey, params) };
}
