import { z } from 'zod';
import { hypervisorOf, type MachineFacts, type PowerFacts } from './machine.ts';
import type { Sighting } from './sighting.ts';
import type { Tool } from './tool.ts';
import { vendorOf } from './vendors.ts';
import { count, known, pciId, sizeBytes } from './words.ts';

export const SYSTEM_PROFILER: Tool = {
  name: 'system_profiler',
  programs: ['/usr/sbin/system_profiler', 'system_profiler'],
  // A minute's worth of other chapters is left out.
  args: ['-json', 'SPDisplaysDataType', 'SPHardwareDataType'],
};

export const IOREG: Tool = { name: 'ioreg', programs: ['/usr/sbin/ioreg', 'ioreg'], args: ['-r', '-d', '1', '-n', 'AppleSmartBattery'] };

const Item = z.record(z.string(), z.unknown());
const Profile = z.object({
  SPDisplaysDataType: z.array(Item).max(64).optional().catch(undefined),
  SPHardwareDataType: z.array(Item).max(8).optional().catch(undefined),
});

/** The GPUs and the machine in what `system_profiler -json` says; null where it is no such document. */
export function parseSystemProfiler(output: string): { sightings: Sighting[]; machine: Partial<MachineFacts> } | null {
  let parsed: z.infer<typeof Profile>;
  try {
    parsed = Profile.parse(JSON.parse(output));
  } catch {
    return null;
  }
  const model = known(parsed.SPHardwareDataType?.[0]?.machine_model);
  const name = known(parsed.SPHardwareDataType?.[0]?.machine_name);
  const hypervisor = hypervisorOf(model);
  return {
    sightings: (parsed.SPDisplaysDataType ?? []).flatMap(sighting),
    machine: {
      name: name === null ? null : model === null ? name : `${name} (${model})`,
      hypervisor,
      virtualMachine: model === null ? null : hypervisor !== null,
      formFactor: name === null ? null : /book/i.test(name) ? 'laptop' : /mac|xserve/i.test(name) ? 'desktop' : null,
    },
  };
}

function sighting(display: Record<string, unknown>): Sighting[] {
  // `_name` may be the key of a name: kHW_AppleM1Item.
  const name = known(display.sppci_model) ?? known(/^kHW_/.test(String(display._name)) ? null : display._name);
  if (name === null) return [];
  const isBuiltIn = known(display.sppci_bus)?.includes('builtin') ?? null;
  const type = known(display.sppci_device_type);
  const maxWidth = count(/^x(\d+)$/.exec(known(display.spdisplays_pcie_width) ?? '')?.[1], 1, 32);
  const vendor = vendorOf(`${known(display.spdisplays_vendor) ?? ''} ${name}`);
  return [
    {
      source: 'system-profiler',
      vendor,
      vendorId: pciId(display['spdisplays_vendor-id']) ?? pciId(/0x[0-9a-f]{4}/i.exec(known(display.spdisplays_vendor) ?? '')?.[0]),
      deviceId: pciId(display['spdisplays_device-id']),
      name: vendor === null || name.includes(vendor) ? name : `${vendor} ${name}`,
      // Of a GPU that shares the machine's memory it is told as spdisplays_vram_shared.
      vramBytes: isBuiltIn === true ? null : sizeBytes(display.spdisplays_vram ?? display._spdisplays_vram),
      metal: metalFamily(
        known(display.spdisplays_mtlgpufamilysupport) ?? known(display.spdisplays_metalfamily) ?? known(display.spdisplays_metal),
      ),
      kind: isBuiltIn === null ? null : isBuiltIn ? 'integrated' : 'discrete',
      external: type === 'spdisplays_egpu' ? true : type === 'spdisplays_gpu' ? false : null,
      link: maxWidth === null ? null : { width: maxWidth, maxWidth: null, generation: null, maxGeneration: null },
    },
  ];
}

/** `spdisplays_metal3` is 3, `spdisplays_mtlgpufamilymac2` mac2; `spdisplays_supported` names no family. */
function metalFamily(key: string | null): string | null {
  return /^spdisplays_metal(\d+)$/.exec(key ?? '')?.[1] ?? /^spdisplays_mtlgpufamily([a-z]+\d+)$/.exec(key ?? '')?.[1] ?? null;
}

/** What ioreg says of a laptop's battery; a Mac without one says nothing and is on mains. */
export function parseSmartBattery(output: string): PowerFacts {
  if (output.trim() === '') return { source: 'mains', percent: null };
  const fact = (key: string): string | undefined => new RegExp(`^[\\s|]*"${key}" = (\\S+)$`, 'm').exec(output)?.[1];
  const connected = fact('ExternalConnected');
  const [current, most] = [count(fact('CurrentCapacity'), 0, 100_000), count(fact('MaxCapacity'), 1, 100_000)];
  // Apple silicon tells percent; Intel Macs tell mAh of mAh.
  const percent = current === null ? null : most === null ? (current <= 100 ? current : null) : Math.min(100, (current / most) * 100);
  return {
    source: connected === 'Yes' ? 'mains' : connected === 'No' ? 'battery' : null,
    percent: percent === null ? null : Math.round(percent),
  };
}
