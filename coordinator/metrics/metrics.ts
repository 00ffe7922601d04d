/** Counts and measures of one program, written as Prometheus reads them. Source: prometheus.io, "Exposition formats", text format 0.0.4. */
export interface Metrics {
  /** Something that only grows; its name ends in `_total`. */
  counter(name: string, help: string): (labels?: Labels, by?: number) => void;
  /** How long things took, in seconds; its name ends in `_seconds`. */
  histogram(name: string, help: string): (seconds: number, labels?: Labels) => void;
  /** Asked at each look; nothing is written for null: it is not known. */
  gauge(name: string, help: string, read: () => Promise<readonly Sample[]> | readonly Sample[]): void;
  text(): Promise<string>;
}

type Labels = Readonly<Record<string, string>>;
interface Sample {
  value: number | null;
  labels?: Labels;
}

const BOUNDS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** A name whose labels vary more than this has one too many: what is beyond isn't kept apart. */
const MAX_SERIES = 500;

type Write = (lines: string[]) => Promise<void> | void;

export function createMetrics(): Metrics {
  const writers: Write[] = [];

  function family(name: string, type: string, help: string, write: Write): void {
    writers.push((lines) => {
      lines.push(`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${type}`);
      return write(lines);
    });
  }

  return {
    counter(name, help) {
      const series = new Map<string, number>();
      family(name, 'counter', help, (lines) => {
        for (const [labels, value] of series) lines.push(`${name}${labels} ${value}`);
      });
      return (labels = {}, by = 1) => {
        const key = seriesOf(series, labels);
        series.set(key, (series.get(key) ?? 0) + by);
      };
    },
    histogram(name, help) {
      const series = new Map<string, { labels: Labels; buckets: number[]; sum: number; count: number }>();
      family(name, 'histogram', help, (lines) => {
        for (const { labels, buckets, sum, count } of series.values()) {
          let below = 0;
          for (const [at, bound] of BOUNDS_SECONDS.entries()) {
            below += buckets[at] as number;
            lines.push(`${name}_bucket${labelText({ ...labels, le: String(bound) })} ${below}`);
          }
          lines.push(`${name}_bucket${labelText({ ...labels, le: '+Inf' })} ${count}`);
          lines.push(`${name}_sum${labelText(labels)} ${sum}`, `${name}_count${labelText(labels)} ${count}`);
        }
      });
      return (seconds, labels = {}) => {
        const key = seriesOf(series, labels);
        const one = series.get(key) ?? { labels: key === '' ? {} : labels, buckets: BOUNDS_SECONDS.map(() => 0), sum: 0, count: 0 };
        series.set(key, one);
        const at = BOUNDS_SECONDS.findIndex((bound) => seconds <= bound);
        if (at >= 0) one.buckets[at] = (one.buckets[at] as number) + 1;
        one.sum += seconds;
        one.count += 1;
      };
    },
    gauge(name, help, read) {
      family(name, 'gauge', help, async (lines) => {
        for (const { value, labels = {} } of await read()) if (value !== null) lines.push(`${name}${labelText(labels)} ${value}`);
      });
    },
    async text() {
      const lines: string[] = [];
      for (const write of writers) await write(lines);
      return `${lines.join('\n')}\n`;
    },
  };
}

function seriesOf(series: ReadonlyMap<string, unknown>, labels: Labels): string {
  const key = labelText(labels);
  return series.has(key) || series.size < MAX_SERIES ? key : '';
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
    return `${name}="${escaped}"`;
  });
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
