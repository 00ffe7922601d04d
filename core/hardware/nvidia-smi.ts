import type { Gpu } from '../contract/hardware.ts';
import type { Sighting, Slice } from './sighting.ts';
import type { Tool } from './tool.ts';
import { count, known, pciAddress, pciId, sizeBytes } from './words.ts';
import { type Element, elementAt, parseXml, textAt } from './xml.ts';

/** Asked once, at the inventory: it wakes a laptop's sleeping GPU. In WSL and on older Windows it is not on the PATH. */
export const NVIDIA_SMI: Tool = {
  name: 'nvidia-smi',
  programs: ['nvidia-smi', '/usr/lib/wsl/lib/nvidia-smi', 'C:\\Program Files\\NVIDIA Corporation\\NVSMI\\nvidia-smi.exe'],
  args: ['-q', '-x'],
};

const NVIDIA = '10de';

/**
 * The GPUs in what `nvidia-smi -q -x` says (nvsmi_device_v6 to v13); null where it is no such document. A GPU that a document mentions
 * without an address is still one.
 */
export function parseNvidiaSmi(document: string): Sighting[] | null {
  const root = parseXml(document.trim());
  if (root === null || root.name !== 'nvidia_smi_log') return null;
  // From the 13th schema on the two are to go, in favour of their successors.
  const driverVersion = known(textAt(root, 'driver_version')) ?? known(textAt(root, 'kmd_version'));
  const cuda = known(textAt(root, 'cuda_version')) ?? known(textAt(root, 'cuda_umd_version'));
  return root.children.filter(({ name }) => name === 'gpu').map((gpu) => sighting(gpu, driverVersion, cuda));
}

function sighting(gpu: Element, driverVersion: string | null, cuda: string | null): Sighting {
  const name = known(textAt(gpu, 'product_name'));
  const mode = textAt(gpu, 'gpu_virtualization_mode', 'virtualization_mode') ?? '';
  return {
    source: 'nvidia-smi',
    address: pciAddress(textAt(gpu, 'pci', 'pci_bus_id')) ?? pciAddress(gpu.attributes.id),
    ...idsOf(textAt(gpu, 'pci', 'pci_device_id')),
    vendor: 'NVIDIA',
    // A driver older than its card has no name for it.
    name: name === null || /^(NVIDIA )?Graphics Device$/.test(name) ? null : withMaker(name),
    vramBytes: sizeBytes(textAt(gpu, 'fb_memory_usage', 'total')),
    driver: 'nvidia',
    driverVersion,
    cuda,
    // A vGPU's guest sees VGPU; a card passed through whole sees Pass-Through, and the machine that has it None.
    ...(/^v(gpu|sga)$/i.test(mode) ? { kind: 'virtual' as const } : {}),
    link: linkOf(elementAt(gpu, 'pci', 'pci_gpu_link_info')),
    slices: /^enabled$/i.test(textAt(gpu, 'mig_mode', 'current_mig') ?? '') ? slicesOf(gpu) : null,
  };
}

/** Drivers before 470 leave the maker out of a GeForce's name. */
function withMaker(name: string): string {
  return /nvidia/i.test(name) ? name : `NVIDIA ${name}`;
}

/** `220610DE`: device, then vendor. WSL's says the device alone, as `00001F06`. */
function idsOf(id: string | undefined): Pick<Sighting, 'vendorId' | 'deviceId'> {
  const [, high, low] = /^(?:0x)?([0-9a-f]{4})([0-9a-f]{4})$/i.exec(known(id) ?? '') ?? [];
  const device = low?.toLowerCase() === NVIDIA ? high : high === '0000' && !low?.startsWith('00') ? low : undefined;
  return { vendorId: NVIDIA, deviceId: pciId(device) };
}

function linkOf(info: Element | undefined): Gpu['link'] {
  if (info === undefined) return null;
  const link = {
    width: count(textAt(info, 'link_widths', 'current_link_width'), 1, 32),
    maxWidth: count(textAt(info, 'link_widths', 'max_link_width'), 1, 32),
    generation: count(textAt(info, 'pcie_gen', 'current_link_gen'), 1, 9),
    maxGeneration: count(textAt(info, 'pcie_gen', 'max_link_gen'), 1, 9),
  };
  return Object.values(link).every((fact) => fact === null) ? null : link;
}

function slicesOf(gpu: Element): Slice[] {
  const devices = elementAt(gpu, 'mig_devices')?.children.filter(({ name }) => name === 'mig_device') ?? [];
  return devices.flatMap((device) => {
    const gpuInstance = count(textAt(device, 'gpu_instance_id'), 0, 99);
    const computeInstance = count(textAt(device, 'compute_instance_id'), 0, 99);
    if (gpuInstance === null || computeInstance === null) return [];
    return [{ gpuInstance, computeInstance, vramBytes: sizeBytes(textAt(device, 'fb_memory_usage', 'total')) }];
  });
}

/** Why nvidia-smi gave no document, where it says so; these are its own words in every driver. */
export type NvidiaComplaint = 'mismatch' | 'not-loaded' | 'no-devices' | 'blocked';

export function nvidiaComplaint(said: string): NvidiaComplaint | null {
  if (/driver\/library version mismatch/i.test(said)) return 'mismatch';
  if (/blocked by the operating system/i.test(said)) return 'blocked';
  if (/couldn't communicate with the nvidia driver|driver not loaded/i.test(said)) return 'not-loaded';
  if (/no devices were found|unable to determine the device handle/i.test(said)) return 'no-devices';
  return null;
}
