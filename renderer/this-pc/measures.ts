import { message } from '../../core/contract/messages.ts';

/** Disks are counted in powers of ten, as their makers do. */
const DISK_GB_BYTES = 1e9;

const number = (value: number, digits: number): string => new Intl.NumberFormat('en', { maximumFractionDigits: digits }).format(value);

export function diskText(bytes: number): string {
  return message('screen.pc.gigabytes', { size: number(bytes / DISK_GB_BYTES, 1) });
}

/** A share of 0 to 1 in whole percent; null stays null, as below. */
export function shareText(share: number | null): string | null {
  return share === null ? null : message('pc.percent', { percent: Math.round(share * 100) });
}

export function celsiusText(celsius: number | null): string | null {
  return celsius === null ? null : message('pc.celsius', { celsius: Math.round(celsius) });
}

export function wattsText(watts: number | null): string | null {
  return watts === null ? null : message('pc.watts', { watts: number(watts, watts < 10 ? 1 : 0) });
}

/** A figure with so many digits that say something. */
export function numberText(value: number, digits: number): string {
  return new Intl.NumberFormat('en', { maximumSignificantDigits: digits }).format(value);
}

/** A rate, whole where it is large. */
export function countWords(value: number): string {
  return number(value, value < 10 ? 1 : 0);
}
