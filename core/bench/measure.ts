/** One figure of the bench. `ratio` is against `baseline`, which was measured in the same run; what it is of is in the name's words. */
export interface Measure {
  event: 'measure';
  name: string;
  value: number;
  unit: 'ms' | 'shards/s' | 'leases/s' | 'tokens/s' | 'entries/s' | 'GFLOP/s' | 'GB/s' | 'MB' | '% of a core' | 'points';
  baseline?: { name: string; value: number };
  ratio?: number;
}

const DIGITS = 4;

/** A figure as it is told: four digits are more than any of them is good for. */
export function measure(name: string, value: number, unit: Measure['unit'], compared: Pick<Measure, 'baseline' | 'ratio'> = {}): Measure {
  const { baseline, ratio } = compared;
  return {
    event: 'measure',
    name,
    value: rounded(value),
    unit,
    ...(baseline === undefined ? {} : { baseline: { ...baseline, value: rounded(baseline.value) } }),
    ...(ratio === undefined ? {} : { ratio: rounded(ratio) }),
  };
}

function rounded(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

/** The value below which a share `part` of the values lies (nearest rank); NaN of none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}
