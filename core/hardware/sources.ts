import { AMD_SMI, parseAmdSmi, parseRocmSmi, ROCM_SMI } from './amd.ts';
import { DIRECTX_REGISTRY, parseDirectxRegistry } from './directx.ts';
import { LSPCI, parseLspci } from './lspci.ts';
import { IOREG, parseSmartBattery, parseSystemProfiler, SYSTEM_PROFILER } from './mac.ts';
import type { MachineFacts, PowerFacts } from './machine.ts';
import { NVIDIA_SMI, parseNvidiaSmi } from './nvidia-smi.ts';
import type { Asked } from './problems.ts';
import type { Sighting } from './sighting.ts';
import { parseSystemInformation, systemInformation } from './system-information.ts';
import { askTool, type Tool } from './tool.ts';
import { parseVulkaninfo, VULKANINFO } from './vulkaninfo.ts';

/** What one source told. */
export interface Told {
  sightings: Sighting[];
  machine?: Partial<MachineFacts>;
  power?: PowerFacts;
}

interface SourceTool {
  tool: Tool;
  /** Null where the output is not what the tool is known to say. */
  parse(output: string): Told | null;
  /** What it says where there is nothing to tell is no fault of it. */
  isQuiet?: boolean;
}

const NVIDIA: SourceTool = { tool: NVIDIA_SMI, parse: (output) => sightingsOf(parseNvidiaSmi(output)) };
const VULKAN: SourceTool = { tool: VULKANINFO, parse: (output) => ({ sightings: parseVulkaninfo(output) }) };

/** The programs that are asked on this platform, all at once. */
export function sourceTools(platform: NodeJS.Platform, nodePath: string): SourceTool[] {
  switch (platform) {
    case 'linux':
      return [
        NVIDIA,
        VULKAN,
        { tool: LSPCI, parse: (output) => ({ sightings: parseLspci(output) }) },
        { tool: ROCM_SMI, parse: (output) => sightingsOf(parseRocmSmi(output)), isQuiet: true },
        { tool: AMD_SMI, parse: (output) => sightingsOf(parseAmdSmi(output)), isQuiet: true },
      ];
    case 'darwin':
      return [
        { tool: SYSTEM_PROFILER, parse: parseSystemProfiler },
        { tool: IOREG, parse: (output) => ({ sightings: [], power: parseSmartBattery(output) }) },
      ];
    case 'win32':
      return [
        NVIDIA,
        VULKAN,
        { tool: systemInformation(nodePath), parse: parseSystemInformation },
        { tool: DIRECTX_REGISTRY, parse: (output) => ({ sightings: parseDirectxRegistry(output) }) },
      ];
    default:
      return [NVIDIA, VULKAN];
  }
}

/** Asks one, which costs `timeoutMs` at most; what it can't tell the others may. */
export async function askSource(source: SourceTool, timeoutMs: number, env: NodeJS.ProcessEnv): Promise<Told & { asked: Asked }> {
  const { tool, parse, isQuiet = false } = source;
  const answer = await askTool(tool, timeoutMs, env);
  // A tool that ends with a fault, or hangs in the middle, may have told of the GPUs that are well.
  const told = 'output' in answer ? parse(answer.output) : null;
  return { ...(told ?? { sightings: [] }), asked: { tool: tool.name, answer, unreadable: told === null && !isQuiet } };
}

function sightingsOf(sightings: Sighting[] | null): Told | null {
  return sightings === null ? null : { sightings };
}
