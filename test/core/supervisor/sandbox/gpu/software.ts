import { existsSync } from 'node:fs';
import { findDevice } from '../../../../../core/supervisor/sandbox/gpu/find-device.ts';
import type { DevicePlan, GpuIdentity } from '../../../../../core/supervisor/sandbox/gpu/plan-device.ts';

/** SwiftShader, Chromium's Vulkan driver on the CPU, as Debian's package lays it down: the real path of WebGPU without a GPU. */
const MANIFEST = '/usr/lib/chromium/vk_swiftshader_icd.json';

const SWIFTSHADER: GpuIdentity = { vendor: null, driver: null, mig: null, address: null, software: true };

/** Why SwiftShader can't be used here; undefined where it can. */
export function withoutSwiftShader(): string | undefined {
  if (process.platform !== 'linux') return 'SwiftShader is looked for on Linux alone';
  return existsSync(MANIFEST) ? undefined : `${MANIFEST} is not there: it comes with Debian's chromium`;
}

export function findSwiftShader(): Promise<DevicePlan> {
  const env = { VK_DRIVER_FILES: MANIFEST };
  return findDevice({
    backend: 'webgpu',
    gpu: SWIFTSHADER,
    nodePath: process.execPath,
    cudaFolder: '/nowhere',
    env,
    platform: process.platform,
  });
}
