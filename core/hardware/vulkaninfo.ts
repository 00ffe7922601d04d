import { isSoftwareAdapter } from '../contract/hardware.ts';
import type { Sighting } from './sighting.ts';
import type { Tool } from './tool.ts';
import { pciVendor, vendorOf } from './vendors.ts';
import { known, pciId } from './words.ts';

export const VULKANINFO: Tool = { name: 'vulkaninfo', programs: ['vulkaninfo'], args: ['--summary'] };

const KINDS: Record<string, Sighting['kind']> = {
  PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: 'integrated',
  PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: 'discrete',
  PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: 'virtual',
};

/** The devices of `vulkaninfo --summary`. One that two drivers show, as Windows' and Mesa's Dozen in WSL, is one. */
export function parseVulkaninfo(output: string): Sighting[] {
  const seen = new Set<string>();
  const blocks = output.split(/^GPU\d+:\s*$/m).slice(1);
  return blocks.flatMap((block) => {
    const facts = Object.fromEntries(
      [...block.matchAll(/^\s+(\w+)\s+= (.*)$/gm)].map(([, key, value]) => [key as string, value as string]),
    );
    const name = known(facts.deviceName);
    // It identifies the card, so it is compared and goes no further.
    const uuid = facts.deviceUUID ?? '';
    if (name === null || (uuid !== '' && seen.has(uuid))) return [];
    seen.add(uuid);
    return [sighting(name, facts)];
  });
}

function sighting(name: string, facts: Record<string, string>): Sighting {
  const [vendorId, deviceId] = [pciId(facts.vendorID), pciId(facts.deviceID)];
  // Dozen is Vulkan spoken to Direct3D: what it says of versions is not the GPU's, and its name holds the GPU's.
  const isTranslated = facts.driverID === 'DRIVER_ID_MESA_DOZEN';
  const isVenus = facts.driverID === 'DRIVER_ID_MESA_VENUS';
  const inner = /^(?:Microsoft Direct3D12|Virtio-GPU Venus) \((.+)\)$/.exec(name)?.[1] ?? name;
  const [, sold = inner, chip] = /^(.*?) \(([^()]+)\)$/.exec(inner) ?? [];
  const vendor = pciVendor(vendorId)?.name ?? vendorOf(inner);
  const software =
    facts.deviceType === 'PHYSICAL_DEVICE_TYPE_CPU' ||
    (!isVenus && !isTranslated && (isSoftwareAdapter(name) || pciVendor(vendorId)?.software === true));
  return {
    source: 'vulkaninfo',
    vendorId,
    deviceId,
    vendor,
    name: software ? name : known(sold),
    // A Jetson's is its driver's name.
    model: software || isTranslated || chip === 'nvgpu' ? null : known(chip?.replace(/^RADV /, '')),
    kind: isVenus ? 'virtual' : isTranslated ? null : (KINDS[facts.deviceType ?? ''] ?? null),
    vulkan: isTranslated ? null : known(facts.apiVersion),
    ...(software || isTranslated || isVenus ? {} : { driverVersion: driverVersion(facts) }),
    software,
  };
}

/** NVIDIA's and Mesa's driverInfo is the version that people know; others tell of their compiler there. */
function driverVersion({ driverInfo, driverVersion }: Record<string, string>): string | null {
  const info = known(driverInfo);
  return info !== null && /^(Mesa )?\d+\.\d/.test(info) ? info : known(driverVersion);
}
