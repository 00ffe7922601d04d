import type { ThrottleReason } from '../contract/telemetry.ts';

/** Where the table has its throttle status that is the same for all chips, by the table's format and content. */
const STATUS_AT: Record<string, number> = { '1.3': 112, '2.2': 120, '2.3': 120 };
const UNKNOWN = 0xffff_ffff_ffff_ffffn;

/** Groups of the status' bits: limits of power, of current, of temperature, and the firmware's own. */
const GROUPS: readonly [first: bigint, bits: bigint, reason: ThrottleReason][] = [
  [0n, 0xffffn, 'power'],
  [16n, 0xffffn, 'hardware'],
  [32n, 0xffffn, 'thermal'],
  [48n, 0xffffn, 'hardware'],
];

/**
 * Why clocks are held down, from amdgpu's `gpu_metrics`; null where it isn't there or its table has no such field (older chips, and those of data
 * centres). Source: the kernel's kgd_pp_interface.h (gpu_metrics_v1_3, v2_2) and amdgpu_smu.h (SMU_THROTTLER_*_BIT)
 */
export function amdThrottle(table: Uint8Array | null): ThrottleReason[] | null {
  if (table === null || table.byteLength < 4) return null;
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const at = STATUS_AT[`${view.getUint8(2)}.${view.getUint8(3)}`];
  if (at === undefined || view.getUint16(0, true) !== table.byteLength || at + 8 > table.byteLength) return null;
  const status = view.getBigUint64(at, true);
  if (status === UNKNOWN) return null;
  const reasons = GROUPS.filter(([first, bits]) => ((status >> first) & bits) !== 0n).map(([, , reason]) => reason);
  return [...new Set(reasons)];
}
