const WHOLE_DIGITS = 40;

/** What somebody typed, in base units; null where nothing was; undefined for what is no amount with so many decimals. */
export function baseUnits(typed: string, decimals: number): string | null | undefined {
  const text = typed.trim().replace(',', '.');
  if (text === '') return null;
  const [, whole, fraction = ''] = /^(\d+)(?:\.(\d*))?$/.exec(text) ?? [];
  if (whole === undefined || whole.length > WHOLE_DIGITS || fraction.length > decimals) return undefined;
  return BigInt(whole + fraction.padEnd(decimals, '0')).toString();
}
