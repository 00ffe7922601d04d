import { z } from 'zod';
import { MessageRef } from './messages.ts';

const Words = z.string().min(1).max(200);
const Bytes = z.int().min(0);

/**
 * Names a GPU to settings, workers, probes and telemetry, the same at every start while the card stays in its slot: its PCI address
 * (`0000:01:00.0`), of a MIG slice with its instances (`0000:01:00.0/gi1/ci0`); where there is no address (Apple silicon), its place in
 * the list (`gpu-0`). Never a serial number or UUID.
 */
export const GpuId = z
  .string()
  .max(64)
  .regex(/^([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7](\/gi\d{1,2}\/ci\d{1,2})?|gpu-\d{1,2})$/);
export type GpuId = z.infer<typeof GpuId>;

/** One GPU, or one slice of one. What no source told is null. */
export const Gpu = z.strictObject({
  id: GpuId,
  /** One word for each maker: NVIDIA, AMD, Intel, Apple, Qualcomm. */
  vendor: Words.nullable(),
  /** What it was sold as, to be shown: `NVIDIA GeForce RTX 4070 Laptop GPU`; else the best that is known. */
  name: Words,
  /** Its chip: `AD106M`, `Navi 31`. */
  model: Words.nullable(),
  /** Ids as four lower-case hex digits. Null where the GPU is on no PCI bus, or none is shown. */
  pci: z
    .strictObject({
      address: z
        .string()
        .regex(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/)
        .nullable(),
      vendorId: z
        .string()
        .regex(/^[0-9a-f]{4}$/)
        .nullable(),
      deviceId: z
        .string()
        .regex(/^[0-9a-f]{4}$/)
        .nullable(),
    })
    .nullable(),
  /** Memory of its own; of an integrated GPU, which shares the machine's, null. */
  vramBytes: Bytes.nullable(),
  /** The kernel's driver (`nvidia`, `amdgpu`, `i915`) where it is told, and the version that its maker gives it. */
  driver: Words.nullable(),
  driverVersion: Words.nullable(),
  /** The newest version of each that driver and GPU serve together; null also where it serves none. */
  apis: z.strictObject({
    /** Of the driver, not of an installed toolkit: `12.8`. */
    cuda: Words.nullable(),
    vulkan: Words.nullable(),
    /** Feature level: `12.1`. */
    directx: Words.nullable(),
    /** Family: `3`. */
    metal: Words.nullable(),
  }),
  /** `virtual` is a share of a GPU that a hypervisor hands out; a whole card passed through is what it is. */
  kind: z.enum(['integrated', 'discrete', 'virtual']).nullable(),
  /** In a box outside the machine (Thunderbolt, OCuLink), which may be unplugged. */
  external: z.boolean().nullable(),
  /** PCI Express, as negotiated now (a card at rest goes down to generation 1), and the most that card and slot can do together. */
  link: z
    .strictObject({
      width: z.int().min(1).max(32).nullable(),
      maxWidth: z.int().min(1).max(32).nullable(),
      generation: z.int().min(1).max(9).nullable(),
      maxGeneration: z.int().min(1).max(9).nullable(),
    })
    .nullable(),
  /** A divided GPU computes in its slices alone, each an entry of its own after it; it still tells their temperature and power. */
  mig: z
    .discriminatedUnion('role', [
      z.strictObject({ role: z.literal('parent'), slices: z.array(GpuId).max(64) }),
      z.strictObject({ role: z.literal('slice'), parent: GpuId, gpuInstance: z.int().min(0), computeInstance: z.int().min(0) }),
    ])
    .nullable(),
});
export type Gpu = z.infer<typeof Gpu>;

/** Something that keeps a GPU or a source from being used: what it is, and what to do about it. */
export const HardwareProblem = z.strictObject({ gpu: GpuId.nullable(), what: MessageRef, next: MessageRef.nullable() });
export type HardwareProblem = z.infer<typeof HardwareProblem>;

/** What is known of this machine. Unknown is null, never a guess. Sizes in bytes. No serial number, UUID, host or user name is in it. */
export const HardwareReport = z.strictObject({
  os: z.strictObject({ platform: z.string(), name: z.string(), release: z.string(), arch: z.string() }),
  machine: z.strictObject({
    formFactor: z.enum(['laptop', 'desktop', 'server', 'tablet', 'handheld']).nullable(),
    /** Maker and product: `LENOVO 82JW`. */
    name: Words.nullable(),
    virtualMachine: z.boolean().nullable(),
    /** What it runs under, where that is told: `KVM`. */
    hypervisor: Words.nullable(),
    container: z.boolean().nullable(),
    wsl: z.boolean(),
  }),
  cpu: z.strictObject({ model: z.string(), cores: z.int().min(1) }),
  memory: z.strictObject({ totalBytes: Bytes }),
  power: z.strictObject({ source: z.enum(['mains', 'battery']).nullable(), percent: z.number().min(0).max(100).nullable() }),
  /** GPUs to earn with. Empty on a machine without one, whatever draws its screen. */
  gpus: z.array(Gpu).max(128),
  /** What draws without a GPU: renderers on the CPU (`isSoftwareAdapter`), display chips of virtual machines and server boards. */
  softwareAdapters: z.array(z.strictObject({ name: Words, vendor: Words.nullable() })).max(64),
  disk: z.strictObject({ freeBytes: Bytes.nullable() }),
  problems: z.array(HardwareProblem).max(32),
});
export type HardwareReport = z.infer<typeof HardwareReport>;

/** Renderers on the CPU, and the adapters of virtual machines, server boards and remote screens, behind which there is no GPU. */
const SOFTWARE_NAMES =
  /llvmpipe|softpipe|lavapipe|swiftshader|swrast|software (raster|renderer)|microsoft basic|remote display|hyper-v|virtio|\bqxl\b|red hat|vmware|svga|virtualbox|innotek|bochs|cirrus|qemu|device 1234|parallels|aspeed|matrox.*g200|citrix|xensource|virtual (display|monitor)|spacedesk|\bidd/i;

/** Whether an adapter of this name (maker and model) has no GPU behind it. */
export function isSoftwareAdapter(name: string): boolean {
  return SOFTWARE_NAMES.test(name);
}
