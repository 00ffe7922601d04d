/** An amount of a currency, as it is written there; small ones with the digits that say something. */
export function currencyText(value: number, currency: string): string {
  const small = Math.abs(value) < 0.1 && value !== 0;
  const digits = small ? { maximumSignificantDigits: 2 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return new Intl.NumberFormat('en', { style: 'currency', currency, currencyDisplay: 'narrowSymbol', ...digits }).format(value);
}
