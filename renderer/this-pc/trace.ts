/** One value at one moment; null: not told. Times in ms. */
export interface Reading {
  at: number;
  value: number | null;
}

/** Two readings further apart have a gap between them: nothing was measured meanwhile. */
const GAP_MS = 5000;

/**
 * A short history as the path of an SVG: the last `spanMs` until `end` across `width`, `max` at the top of `height` and 0 at its foot. What
 * was not told leaves a gap; values beyond the top are drawn at it.
 */
export function tracePath(
  readings: readonly Reading[],
  { end, spanMs, max, width, height }: { end: number; spanMs: number; max: number; width: number; height: number },
): string {
  const parts: string[] = [];
  let last: number | null = null;
  for (const { at, value } of readings) {
    if (at < end - spanMs || at > end) continue;
    if (value === null) {
      last = null;
      continue;
    }
    const x = ((at - (end - spanMs)) / spanMs) * width;
    const y = height - (Math.min(Math.max(value, 0), max) / max) * height;
    const pen: 'M' | 'L' = last !== null && at - last <= GAP_MS ? 'L' : 'M';
    parts.push(`${pen}${x.toFixed(1)} ${y.toFixed(1)}`);
    last = at;
  }
  return parts.join(' ');
}
