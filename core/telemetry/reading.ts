/** Words by which tools say that they don't know. `[Unknown Error]`, `[GPU is lost]` and the like come in brackets. */
const UNKNOWN = /^(\[.*\]|n\/a|not supported|not available|err!|unknown.*|-+|)$/i;
/** What a number looks like, with a point or with a comma before the decimals. */
const NUMBER = /^[+-]?\d{1,18}([.,]\d{1,9})?$/;

/**
 * A number that a tool or a file of the kernel gives, or null where it gives none or one that can't be true: 511 °C, 65535 revolutions and
 * negative watts are how sensors say that they aren't there.
 */
export function reading(text: string | null | undefined, least: number, most: number): number | null {
  const said = (text ?? '').trim();
  if (UNKNOWN.test(said) || !NUMBER.test(said)) return null;
  return plausible(Number(said.replace(',', '.')), least, most);
}

/** The value where it can be true, else null. */
export function plausible(value: number | null, least: number, most: number): number | null {
  return value !== null && Number.isFinite(value) && value >= least && value <= most ? value : null;
}

/** A reading in another unit. */
export function scaled(value: number | null, factor: number): number | null {
  return value === null ? null : value * factor;
}

/**
 * Bounds of what can be true, units in their names. A card that idles with its fans off says 0, which is a value; silicon at exactly 0 °C or
 * clocks at 0 MHz are a sensor that sleeps.
 */
export const BOUNDS = {
  percent: [0, 100],
  celsius: [1, 130],
  rpm: [0, 20_000],
  watts: [0, 2000],
  mhz: [1, 10_000],
  bytes: [0, 2 ** 46],
} as const satisfies Record<string, readonly [number, number]>;
