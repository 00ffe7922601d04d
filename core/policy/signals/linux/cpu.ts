import type { SignalSource } from '../../../contract/policy.ts';
import { ownProcesses, readProc } from './proc.ts';

const LOOK_MS = 5000;

/** Processor time since the machine's start, in ticks, of all cores together. */
export interface CpuTicks {
  busy: number;
  total: number;
}

/** The sum over all cores in /proc/stat; null where it isn't there. Waiting for a disk is no work. */
export function parseCpuTicks(stat: string): CpuTicks | null {
  const fields = /^cpu +([\d ]+)$/m.exec(stat)?.[1]?.trim().split(' ').map(Number);
  if (fields === undefined || fields.length < 4) return null;
  // user nice system idle iowait irq softirq steal; what guests take is in user and nice already.
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = fields;
  const busy = user + nice + system + irq + softirq + steal;
  return { busy, total: busy + idle + iowait };
}

/**
 * Processor time of one process and of those below it that have ended, out of its /proc/PID/stat, in ticks; 0 where it is gone. Over a whole tree
 * the sum goes on when one of it ends.
 */
export function parseProcessTicks(stat: string | null): number {
  if (stat === null) return 0;
  // The second field is the program's name in parentheses and may hold anything; what follows it is numbers, from field 3 on.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) || 0;
}

/** One look, in ticks: the machine's time, and that of our processes together. */
export interface CpuLook {
  machine: CpuTicks;
  own: number;
}

/** Share of all cores that others used between two looks; null where no time has passed. */
export function otherCpuShare(before: CpuLook, after: CpuLook): number | null {
  const total = after.machine.total - before.machine.total;
  if (!(total > 0)) return null;
  const own = Math.max(0, after.own - before.own);
  return Math.min(1, Math.max(0, (after.machine.busy - before.machine.busy - own) / total));
}

/** What programs that aren't ours take of the processor. */
export const cpuSource: SignalSource = {
  name: 'cpu',
  start(context) {
    const look = (): CpuLook | null => {
      const machine = parseCpuTicks(readProc('stat') ?? '');
      if (machine === null) return null;
      return { machine, own: [...ownProcesses()].reduce((sum, pid) => sum + parseProcessTicks(readProc(`${pid}/stat`)), 0) };
    };
    let before = look();
    const timer = setInterval(() => {
      const after = look();
      context.publish({ otherCpuLoad: before === null || after === null ? null : otherCpuShare(before, after) });
      before = after;
    }, LOOK_MS);
    return () => clearInterval(timer);
  },
};
