import type { GpuUse } from './fdinfo.ts';

const MIB = 2 ** 20;
const MAX_ROWS = 4096;

/** What one program makes of one GPU, as a line of `nvidia-smi pmon` has it. */
export interface PmonRow {
  /** Place in the driver's list, which is in the order of PCI addresses. */
  index: number;
  pid: number | null;
  /** Share of its processors' time; null where the line has none, as of a program that is at rest. */
  load: number | null;
  vramBytes: number | null;
}

/** Reads lines of `nvidia-smi pmon -s um`, whose columns differ between drivers: its headings say which is which. */
export function createPmonReader(): (line: string) => PmonRow | null {
  let columns: string[] = [];
  return (line) => {
    const words = line.trim().split(/\s+/);
    if (words[0] === '#') {
      if (words[1] === 'gpu') columns = words.slice(1);
      return null;
    }
    const number = (column: string): number | null => {
      const at = columns.indexOf(column);
      const word = at === -1 ? undefined : words[at];
      return word !== undefined && /^\d+$/.test(word) ? Number(word) : null;
    };
    const [index, load, mebibytes] = [number('gpu'), number('sm'), number('fb')];
    if (index === null) return null;
    return {
      index,
      pid: number('pid'),
      load: load === null ? null : Math.min(1, load / 100),
      vramBytes: mebibytes === null ? null : mebibytes * MIB,
    };
  };
}

/**
 * What others make of each GPU, by its place in the list, out of the lines of one moment. A GPU without a program that is at work has no load; one
 * that has no line is unknown. Programs with several contexts are told more than once, with the same numbers.
 */
export function pmonUse(rows: readonly PmonRow[], own: ReadonlySet<number>): Map<number, GpuUse> {
  const uses = new Map<number, GpuUse>();
  const seen = new Set<string>();
  for (const { index, pid, load, vramBytes } of rows.slice(0, MAX_ROWS)) {
    const use = uses.get(index) ?? { load: 0, vramBytes: 0 };
    uses.set(index, use);
    const key = `${index} ${pid}`;
    if (pid === null || own.has(pid) || seen.has(key)) continue;
    seen.add(key);
    use.load = Math.min(1, (use.load ?? 0) + (load ?? 0));
    use.vramBytes = (use.vramBytes ?? 0) + (vramBytes ?? 0);
  }
  return uses;
}
