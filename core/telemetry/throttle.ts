import type { ThrottleReason } from '../contract/telemetry.ts';

/** Bits of nvmlClocksEventReasons. Source: nvml.h. Idle (0x1) and what somebody set (0x2, 0x100) hold nothing back. */
const NVML_BITS: readonly [number, ThrottleReason][] = [
  [0x4, 'power'],
  [0x80, 'power'],
  [0x20, 'thermal'],
  [0x40, 'thermal'],
  [0x8, 'hardware'],
  [0x10, 'sync'],
];

/** The reasons in nvidia-smi's bitmask (`0x0000000000000004`); null where it gives none. */
export function throttleReasons(mask: string | undefined): ThrottleReason[] | null {
  const text = (mask ?? '').trim();
  if (!/^0x[0-9a-f]{1,16}$/i.test(text)) return null;
  const bits = Number(BigInt(text) & 0xffffn);
  const reasons = NVML_BITS.filter(([bit]) => (bits & bit) !== 0).map(([, reason]) => reason);
  return [...new Set(reasons)];
}
