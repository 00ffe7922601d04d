/** PCI vendor ids of adapters: those with a GPU, and those of virtual machines and server boards, whose adapters have none. Source: pci-ids.ucw.cz */
const PCI_VENDORS: Record<string, { name: string; software: boolean }> = {
  '10de': { name: 'NVIDIA', software: false },
  '1002': { name: 'AMD', software: false },
  '8086': { name: 'Intel', software: false },
  '106b': { name: 'Apple', software: false },
  '5143': { name: 'Qualcomm', software: false },
  '1ed5': { name: 'Moore Threads', software: false },
  '1af4': { name: 'Red Hat', software: true },
  '1b36': { name: 'Red Hat', software: true },
  '1234': { name: 'QEMU', software: true },
  '15ad': { name: 'VMware', software: true },
  '80ee': { name: 'VirtualBox', software: true },
  // Hyper-V's screen; in WSL also the way to the host's GPUs, which nvidia-smi and Vulkan tell more of.
  '1414': { name: 'Microsoft', software: true },
  '1013': { name: 'Cirrus Logic', software: true },
  '5853': { name: 'XenSource', software: true },
  '1ab8': { name: 'Parallels', software: true },
  '1a03': { name: 'ASPEED', software: true },
  '102b': { name: 'Matrox', software: true },
  // Vulkan's ids of renderers on the CPU. Source: Khronos' registry (VkVendorId) and SwiftShader.
  '1ae0': { name: 'Google', software: true },
};

const VENDOR_WORDS: readonly [RegExp, string][] = [
  [/nvidia/i, 'NVIDIA'],
  [/advanced micro devices|\bamd\b|\bati\b|radeon/i, 'AMD'],
  [/\bintel\b|intel\(/i, 'Intel'],
  [/apple/i, 'Apple'],
  [/qualcomm|adreno/i, 'Qualcomm'],
  [/broadcom|videocore/i, 'Broadcom'],
  [/red hat/i, 'Red Hat'],
  [/vmware/i, 'VMware'],
  [/virtualbox|innotek/i, 'VirtualBox'],
  [/cirrus/i, 'Cirrus Logic'],
  [/aspeed/i, 'ASPEED'],
  [/matrox/i, 'Matrox'],
  [/microsoft/i, 'Microsoft'],
];

export function pciVendor(vendorId: string | null | undefined): { name: string; software: boolean } | null {
  return PCI_VENDORS[vendorId ?? ''] ?? null;
}

/** The maker that these words name, in one word; null where they name none that is known. */
export function vendorOf(words: string): string | null {
  return VENDOR_WORDS.find(([pattern]) => pattern.test(words))?.[1] ?? null;
}
