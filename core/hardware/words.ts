/** How these tools say that they don't know: `N/A`, `[N/A]`, `[Not Supported]`, `Requested functionality has been deprecated`, … */
const UNKNOWN =
  /^\[?(n\/a|not supported|not found|unknown( error)?|insufficient permissions|none|requested functionality has been deprecated|gpu is lost|to be filled by o\.?e\.?m\.?|default string|system (product|manufacturer|version|name)( name)?|not applicable|not specified|o\.?e\.?m\.?|invalid|undefined|null|-+)\]?$/i;
const MAX_WORDS = 200;

const UNIT_BYTES: Record<string, number> = {
  b: 1,
  kb: 2 ** 10,
  kib: 2 ** 10,
  mb: 2 ** 20,
  mib: 2 ** 20,
  gb: 2 ** 30,
  gib: 2 ** 30,
  tb: 2 ** 40,
  tib: 2 ** 40,
};

/** A value that a tool said, trimmed; null where it said that it doesn't know, and for what is no text. */
export function known(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  // Control characters are nobody's name; a name that fills a page is none.
  const text = value
    .replace(/[\p{Cc}\p{Cf}]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, MAX_WORDS)
    .trim();
  return text === '' || UNKNOWN.test(text) ? null : text;
}

/** A count, with or without what it is of after it (`16x`, `3`): a whole number within the bounds, else null. */
export function count(value: unknown, least: number, most: number): number | null {
  const digits = typeof value === 'number' ? String(value) : /^\s*(\d{1,15})\s*x?\s*$/i.exec(known(value) ?? '')?.[1];
  const number = Number(digits);
  return digits !== undefined && Number.isInteger(number) && number >= least && number <= most ? number : null;
}

/** `24576 MiB`, `8 GB`, `1,5 GB`: bytes; null where it is no size. The decimal mark is a point or a comma, and no thousands are marked. */
export function sizeBytes(value: unknown): number | null {
  const [, digits, unit] = /^(\d{1,12}(?:[.,]\d{1,6})?)\s*([kmgt]?i?b)$/i.exec(known(value) ?? '') ?? [];
  if (digits === undefined || unit === undefined) return null;
  return bytes(Number(digits.replace(',', '.')) * (UNIT_BYTES[unit.toLowerCase()] as number));
}

/** A size that may be told: nothing says zero or less of a memory that is there. */
export function bytes(value: unknown): number | null {
  const number = typeof value === 'string' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) && number > 0 && number < 2 ** 53 ? Math.round(number) : null;
}

/** Four lower-case hex digits of `0x10de`, `10DE` or `4318`'s like; null where it is no such id. */
export function pciId(value: unknown): string | null {
  return /^(?:0x)?0{0,4}([0-9a-f]{4})$/i.exec(known(value) ?? '')?.[1]?.toLowerCase() ?? null;
}

/** `00000000:01:00.0`, `0000:C4:00.0`, `01:00.0`: as Linux writes it, `0000:01:00.0`; null where it is none. */
export function pciAddress(value: unknown): string | null {
  const [, domain = '0000', rest] = /^(?:0*([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/i.exec(known(value) ?? '') ?? [];
  return rest === undefined ? null : `${domain.padStart(4, '0')}:${rest}`.toLowerCase();
}

/** PCI Express generation of a speed in GT/s, as `2.5 GT/s PCIe`, `16.0GT/s` or a number. Source: PCI Express Base Specification, 6.0. */
export function pcieGeneration(value: unknown): number | null {
  const speed = Number(typeof value === 'number' ? value : /^\s*(\d{1,3}(?:\.\d)?)\s*GT\/s/i.exec(known(value) ?? '')?.[1]);
  return ({ 2.5: 1, 5: 2, 8: 3, 16: 4, 32: 5, 64: 6 } as Record<number, number>)[speed] ?? null;
}
