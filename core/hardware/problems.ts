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

/** What keeps GPUs or sources from being used, and what to do about it. A tool that isn't there is no problem: each has a stand-in. */
export function hardwareProblems(gpus: readonly Gpu[], asked: readonly Asked[], platform: string): HardwareProblem[] {
  // Elsewhere nobody tells which driver has a GPU.
  return [...asked.flatMap(toolProblems), ...(platform === 'linux' ? gpus.flatMap(driverProblems) : [])];
}

function toolProblems({ tool, answer, unreadable }: Asked): HardwareProblem[] {
  switch (answer.outcome) {
    case 'missing':
      return [];
    case 'timeout':
    case 'flooded':
      return [problem(null, `hardware.tool-${answer.outcome}`, { tool })];
    default: {
      const complaint = tool === 'nvidia-smi' ? nvidiaComplaint(answer.said) : null;
      if (complaint !== null) return [problem(null, COMPLAINTS[complaint], {})];
      // What a tool says on a machine that has none of its cards is nobody's business.
      return unreadable && answer.outcome === 'answered' ? [problem(null, 'hardware.tool-unreadable', { tool })] : [];
    }
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
