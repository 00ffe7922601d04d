import type { Gpu, HardwareReport } from './hardware.ts';
import { message } from './messages.ts';

/** The inventory in words, for every shell that shows it. What is unknown is left out; where nothing is known, they say so. */

const MEMORY_GB_BYTES = 2 ** 30;

/** Memory is counted in powers of two, as its makers do. */
export function memoryText(bytes: number): string {
  return message('screen.pc.gigabytes', {
    size: new Intl.NumberFormat('en', { maximumFractionDigits: 1 }).format(bytes / MEMORY_GB_BYTES),
  });
}

export function gpuWords({ vramBytes, kind, external, mig }: Gpu): string {
  const memory =
    vramBytes !== null
      ? message('pc.gpu.memory', { size: memoryText(vramBytes) })
      : kind === 'integrated'
        ? message('pc.gpu.shared-memory')
        : null;
  return joined([
    memory,
    kind === null ? null : message(`pc.gpu.kind.${kind}`),
    external === true ? message('pc.gpu.external') : null,
    mig === null ? null : mig.role === 'slice' ? message('pc.gpu.slice') : message('pc.gpu.divided', { count: mig.slices.length }),
  ]);
}

export function driverWords({ driver, driverVersion }: Gpu): string {
  return joined([driver, driverVersion], ' ');
}

export function apiWords({ apis }: Gpu): string {
  const { cuda, vulkan, directx, metal } = apis;
  const named = { CUDA: cuda, Vulkan: vulkan, DirectX: directx, Metal: metal };
  return joined(
    Object.entries(named).map(([name, version]) => (version === null ? null : `${name} ${version}`)),
    ', ',
  );
}

/** Null where neither lanes nor generation are known. */
export function linkWords({ link }: Gpu): string | null {
  if (link === null || (link.width === null && link.generation === null)) return null;
  const { width, maxWidth, generation, maxGeneration } = link;
  return joined(
    [
      width === null ? null : message('pc.gpu.lanes', { width, maxWidth: maxWidth ?? width }),
      generation === null ? null : message('pc.gpu.generation', { generation, maxGeneration: maxGeneration ?? generation }),
    ],
    ', ',
  );
}

export function machineWords({ formFactor, name, virtualMachine, hypervisor, container, wsl }: HardwareReport['machine']): string {
  const under = hypervisor === null ? message('pc.machine.virtual') : message('pc.machine.virtual-under', { hypervisor });
  return joined([
    name,
    formFactor === null ? null : message(`pc.machine.${formFactor}`),
    virtualMachine === true ? under : null,
    container === true ? message('pc.machine.container') : null,
    wsl ? message('pc.machine.wsl') : null,
  ]);
}

/** Null where it is unknown what the machine runs on. */
export function powerWords({ source, percent }: HardwareReport['power']): string | null {
  if (source === null) return null;
  const words = message(`pc.power.${source}`);
  return percent === null ? words : message('pc.power.charge', { source: words, percent: Math.round(percent) });
}

function joined(words: readonly (string | null)[], between = ' · '): string {
  const known = words.filter((word) => word !== null);
  return known.length === 0 ? message('pc.unknown') : known.join(between);
}
