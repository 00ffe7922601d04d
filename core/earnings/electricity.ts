import type { Tariff } from '../contract/rules.ts';
import { hourOfDay } from './periods.ts';

const MILLIJOULES_PER_KWH = 3_600_000_000;

/** Energy of a stretch of time: all of it, and by quarters of an hour (`at`: its start), in millijoules. */
interface Energy {
  millijoules: number;
  quarters(): Iterable<{ at: number; millijoules: number }>;
}

/** What energy costs by a tariff whose hours are those of `zone`, in the tariff's currency. */
export function costOf(tariff: Tariff, energy: Energy, zone: string): number {
  if (tariff.kind === 'fixed') return (energy.millijoules / MILLIJOULES_PER_KWH) * tariff.perKwh;
  let cost = 0;
  if (energy.millijoules === 0) return cost;
  for (const { at, millijoules } of energy.quarters()) {
    cost += (millijoules / MILLIJOULES_PER_KWH) * (tariff.perKwh[hourOfDay(zone, at)] ?? 0);
  }
  return cost;
}

export function wattHours(millijoules: number): number {
  return millijoules / (MILLIJOULES_PER_KWH / 1000);
}
