import type { Gpu } from '../../core/contract/hardware.ts';

/** A desktop's GeForce; what is not given is as such a card has it. */
export function gpu(fields: Partial<Gpu> = {}): Gpu {
  return {
    id: '0000:01:00.0',
    vendor: 'NVIDIA',
    name: 'NVIDIA GeForce RTX 3090',
    model: 'GA102',
    pci: { address: '0000:01:00.0', vendorId: '10de', deviceId: '2204' },
    vramBytes: 24 * 2 ** 30,
    driver: 'nvidia',
    driverVersion: '580.95.05',
    apis: { cuda: '13.0', vulkan: '1.4.312', directx: null, metal: null },
    kind: 'discrete',
    external: false,
    link: { width: 16, maxWidth: 16, generation: 4, maxGeneration: 4 },
    mig: null,
    ...fields,
  };
}
