import type { Gpu } from '../contract/hardware.ts';

/**
 * A graphics adapter as one source shows it. What the source doesn't tell is left out. `gpu` facts are those of the contract; several
 * sightings of one adapter are joined by `joinSightings`.
 */
export interface Sighting {
  source: Source;
  /** PCI address, as in the contract. */
  address?: string | null;
  vendorId?: string | null;
  deviceId?: string | null;
  vendor?: string | null;
  /** What it was sold as. */
  name?: string | null;
  /** Its chip. */
  model?: string | null;
  vramBytes?: number | null;
  driver?: string | null;
  driverVersion?: string | null;
  cuda?: string | null;
  vulkan?: string | null;
  directx?: string | null;
  metal?: string | null;
  kind?: Gpu['kind'];
  external?: boolean | null;
  link?: Gpu['link'];
  /** There is no GPU behind it. */
  software?: boolean;
  /** MIG is on; these are its slices. */
  slices?: readonly Slice[] | null;
}

export interface Slice {
  gpuInstance: number;
  computeInstance: number;
  vramBytes: number | null;
}

/** In the order in which sightings are joined: those that know the bus first. */
export type Source =
  | 'pci'
  | 'lspci'
  | 'nvidia-smi'
  | 'amd-smi'
  | 'rocm-smi'
  | 'system-profiler'
  | 'systeminformation'
  | 'directx'
  | 'vulkaninfo';
