import type { SignalSource } from '../../../contract/policy.ts';
import { programKey, watchedPrograms } from '../../programs.ts';
import { ownProcesses } from './proc.ts';
import { createProcessTable } from './process-table.ts';

const SOONEST_MS = 250;
/** A program is seen within this, whatever a look costs. */
const LATEST_MS = 800;
/** The wait is so many times what looks have cost of late: a quarter of a percent of a core. */
const COST_FACTOR = 400;
/** Weight of the last look in what they cost, and its most: a crowd that has just come must not slow down the looks that follow. */
const LAST_LOOK = 0.1;
const MOST_MS = 5;
const REPEAT_MS = 20_000;
const MAX_PROGRAMS = 1000;

/** Programs on the user's list, by a look at /proc: Linux tells of others' processes by no event that a program without rights may have. */
export const programsSource: SignalSource = {
  name: 'programs',
  start(context) {
    const table = createProcessTable();
    let watched = watchedPrograms(context.rules().programs);
    let listed = context.rules().programs;
    let toldAt = Number.NEGATIVE_INFINITY;
    let timer: NodeJS.Timeout;
    let costMs = 0;

    const tell = (): void => {
      const found = table.matches((name) => watched.get(programKey(name)));
      const own = found.length === 0 ? new Set<number>() : ownProcesses();
      context.publish({ programs: found.filter(({ pid }) => !own.has(pid)).slice(0, MAX_PROGRAMS) });
      toldAt = performance.now();
    };
    const look = (): void => {
      const from = process.cpuUsage();
      if (table.poll() || performance.now() - toldAt > REPEAT_MS) tell();
      const { user, system } = process.cpuUsage(from);
      costMs += (Math.min(MOST_MS, (user + system) / 1000) - costMs) * LAST_LOOK;
      timer = setTimeout(look, Math.min(LATEST_MS, Math.max(SOONEST_MS, costMs * COST_FACTOR)));
    };
    const leave = context.onChange(() => {
      const { programs } = context.rules();
      if (programs === listed) return;
      listed = programs;
      watched = watchedPrograms(programs);
      tell();
    });
    look();
    return () => {
      clearTimeout(timer);
      leave();
    };
  },
};
