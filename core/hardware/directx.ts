import { isSoftwareAdapter } from '../contract/hardware.ts';
import type { Sighting } from './sighting.ts';
import type { Tool } from './tool.ts';
import { pciVendor, vendorOf } from './vendors.ts';
import { bytes, known } from './words.ts';

/** DirectX's own list of adapters, which dxdiag reads too. Asking dxdiag itself takes half a minute. */
export const DIRECTX_REGISTRY: Tool = {
  name: 'reg',
  programs: ['reg', 'C:\\Windows\\System32\\reg.exe'],
  args: ['query', 'HKLM\\SOFTWARE\\Microsoft\\DirectX', '/s'],
};

/** Its entries of adapters, one a card and driver; of every other output, none. */
export function parseDirectxRegistry(output: string): Sighting[] {
  const keys = output.split(/^HKEY_LOCAL_MACHINE\\/m).slice(1);
  return keys.flatMap((key) => {
    const values = Object.fromEntries(
      [...key.matchAll(/^\s+(\S+)\s+REG_(?:SZ|DWORD|QWORD)\s+(.*?)\s*$/gm)].map(([, name, value]) => [name as string, value as string]),
    );
    const name = known(values.Description);
    if (name === null || values.VendorId === undefined) return [];
    const vendorId = hexId(values.VendorId);
    const level = Number(values.MaxD3D12FeatureLevel ?? values.MaxD3D11FeatureLevel);
    return [
      {
        source: 'directx' as const,
        vendorId,
        deviceId: hexId(values.DeviceId),
        vendor: pciVendor(vendorId)?.name ?? vendorOf(name),
        name,
        vramBytes: bytes(Number(values.DedicatedVideoMemory)),
        directx: featureLevel(level),
        software: isSoftwareAdapter(name) || pciVendor(vendorId)?.software === true,
      },
    ];
  });
}

function hexId(value: string | undefined): string | null {
  const number = Number(value);
  return Number.isInteger(number) && number > 0 && number <= 0xffff ? number.toString(16).padStart(4, '0') : null;
}

/** D3D_FEATURE_LEVEL_12_1 is 0xc100. */
function featureLevel(level: number): string | null {
  return level >= 0x9100 && level <= 0xff00 ? `${level >> 12}.${(level >> 8) & 0xf}` : null;
}
