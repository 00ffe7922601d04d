/**
 * A text without what names one machine and no other, wherever a tool may have slipped it in: UUIDs, network cards' addresses, and what stands
 * behind a word for a serial number.
 */
export function withoutNumbersOfOne(text: string): string {
  return text
    .replaceAll(/\b(GPU-|MIG-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '(removed)')
    .replaceAll(/\b([0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b/gi, '(removed)')
    .replaceAll(/\b(serial(?: ?number| ?no\.?)?|s\/n|sn)\b(["']?\s*[:=#]?\s*["']?)[\w-]{4,}/gi, '$1$2(removed)');
}
