/**
 * What an amount is worth at a price of one whole unit, to the last digit: decimal text, without zeros at its end.
 * @param decimals digits of the amount behind the point
 */
export function worthOf(amountBaseUnits: bigint, decimals: number, price: string): string {
  const [whole = '0', fraction = ''] = price.split('.');
  return decimalText(amountBaseUnits * BigInt(whole + fraction), decimals + fraction.length);
}

function decimalText(digits: bigint, places: number): string {
  const text = digits.toString().padStart(places + 1, '0');
  const whole = text.slice(0, text.length - places);
  const fraction = text.slice(text.length - places).replace(/0+$/, '');
  return fraction === '' ? whole : `${whole}.${fraction}`;
}
