import type { Systeminformation } from 'systeminformation';
import { type Gpu, type HardwareReport, isSoftwareAdapter } from '../contract/hardware.ts';

/** The graphics adapters of a machine, those with a GPU apart from those without. */
export type Adapters = Pick<HardwareReport, 'gpus' | 'softwareAdapters'>;

type Found = Pick<Gpu, 'vendor' | 'name' | 'pci' | 'vramBytes'> & { software: boolean };

/** A graphics adapter as systeminformation gives it; sizes in MiB, `name` and `memoryTotal` from nvidia-smi where it answered. */
export type ReportedAdapter = {
  [Fact in 'vendor' | 'model' | 'name' | 'vram' | 'memoryTotal' | 'vramDynamic']?:
    | Systeminformation.GraphicsControllerData[Fact]
    | undefined;
};

/** A display device on the PCI bus, as Linux has it in /sys. Ids as four hex digits. */
export interface PciAdapter {
  address: string;
  vendorId: string;
  deviceId: string;
  /** mem_info_vram_total of amdgpu; /proc/driver/nvidia has the name. */
  vramBytes: number | null;
  name: string | null;
}

const MIB = 2 ** 20;

/** PCI vendor ids. Source: pci-ids.ucw.cz */
const PCI_VENDORS: Record<string, { name: string; software: boolean }> = {
  '10de': { name: 'NVIDIA', software: false },
  '1002': { name: 'AMD', software: false },
  '8086': { name: 'Intel', software: false },
  '106b': { name: 'Apple', software: false },
  '1af4': { name: 'Red Hat', software: true },
  '1b36': { name: 'Red Hat', software: true },
  '1234': { name: 'QEMU', software: true },
  '15ad': { name: 'VMware', software: true },
  '80ee': { name: 'VirtualBox', software: true },
  '1414': { name: 'Microsoft', software: true },
  '1013': { name: 'Cirrus Logic', software: true },
  '5853': { name: 'XenSource', software: true },
  '1ab8': { name: 'Parallels', software: true },
  '1a03': { name: 'ASPEED', software: true },
  '102b': { name: 'Matrox', software: true },
};

const VENDOR_WORDS: readonly [RegExp, string][] = [
  [/nvidia/i, 'NVIDIA'],
  [/advanced micro devices|\bamd\b|\bati\b|radeon/i, 'AMD'],
  [/intel/i, 'Intel'],
  [/apple/i, 'Apple'],
  [/qualcomm|adreno/i, 'Qualcomm'],
  [/broadcom|videocore/i, 'Broadcom'],
];

/**
 * The GPUs of a machine from what systeminformation says. On Linux its `vram` is the size of a PCI window, not of the memory, and is left
 * out; what nvidia-smi says is taken. Shared memory of an integrated GPU is no VRAM.
 */
export function gpusFromAdapters(adapters: readonly ReportedAdapter[], platform: string): Adapters {
  const found = adapters.flatMap((adapter) => {
    const model = (adapter.name || adapter.model || '').trim();
    const vendor = (adapter.vendor ?? '').trim();
    if (model === '' && vendor === '') return [];
    const said = platform === 'linux' || adapter.vramDynamic === true ? null : adapter.vram;
    const mebibytes = adapter.memoryTotal ?? said;
    return [
      {
        vendor: vendorName(`${vendor} ${model}`) ?? (vendor === '' ? null : vendor),
        name: model === '' ? vendor : model,
        pci: null,
        vramBytes: mebibytes != null && mebibytes > 0 ? Math.round(mebibytes * MIB) : null,
        software: isSoftwareAdapter(`${vendor} ${model}`),
      },
    ];
  });
  return apart(found);
}

/** The GPUs of a Linux machine from its PCI bus: what is left where lspci is not installed. */
export function gpusFromPci(adapters: readonly PciAdapter[]): Adapters {
  const found = adapters.map(({ address, vendorId, deviceId, vramBytes, name }) => {
    const vendor = PCI_VENDORS[vendorId];
    return {
      vendor: vendor?.name ?? null,
      name: name ?? `PCI device ${vendorId}:${deviceId}`,
      pci: { address, vendorId, deviceId },
      vramBytes,
      software: vendor?.software ?? false,
    };
  });
  return apart(found);
}

function apart(found: readonly Found[]): Adapters {
  const gpus = found.filter(({ software }) => !software);
  return {
    gpus: gpus.map(({ software: _, ...gpu }, index) => ({ ...UNKNOWN, ...gpu, id: gpu.pci?.address ?? `gpu-${index}` })),
    softwareAdapters: found.filter(({ software }) => software).map(({ name, vendor }) => ({ name, vendor })),
  };
}

const UNKNOWN = {
  model: null,
  driver: null,
  driverVersion: null,
  apis: { cuda: null, vulkan: null, directx: null, metal: null },
  kind: null,
  external: null,
  link: null,
  mig: null,
} satisfies Partial<Gpu>;

function vendorName(text: string): string | null {
  return VENDOR_WORDS.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}
