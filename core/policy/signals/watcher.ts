import type { SignalContext, SignalSource } from '../../contract/policy.ts';
import { programKey, watchedPrograms } from '../programs.ts';
import { type LineChild, openChildLines } from './child-lines.ts';
import { keepUp, type Watching } from './keep-up.ts';
import { changeFrom, parseWatcherLine, type WatcherLine } from './watcher-lines.ts';

const MAX_PROGRAMS = 1000;
const MAX_PROCESSES = 20_000;
/** A watcher tells every second. One that has been silent for so long hangs, and is replaced. */
const SILENCE_MS = 15_000;
/** What isn't told every second is unknown as well while no watcher runs. */
const UNKNOWN = { idleMs: null, sessionLocked: null, fullScreen: null, programs: null, power: null, metered: null, otherCpuLoad: null };

/**
 * A platform's own ways to be asked, through one child process that lives as long as we watch (never one for each question). On Windows and
 * macOS.
 */
export function watcherSource(name: string, child: LineChild): SignalSource {
  return { name, start: (context) => keepUp({ name, unknown: UNKNOWN }, context, () => open(child, context)) };
}

async function open(child: LineChild, context: SignalContext): Promise<Watching> {
  const running = new Map<number, string>();
  let listed = context.rules().programs;
  let watched = watchedPrograms(listed);
  let silence: NodeJS.Timeout | undefined;
  let garbled = 0;
  const hangs = Promise.withResolvers<string>();

  const tellPrograms = (): void => {
    const found = [...running].flatMap(([pid, file]) => {
      const known = watched.get(programKey(file));
      return known === undefined ? [] : [{ pid, name: known }];
    });
    context.publish({ programs: found.slice(0, MAX_PROGRAMS) });
  };
  const take = (line: WatcherLine): void => {
    context.publish(changeFrom(line));
    if (line.started === undefined && line.ended === undefined) return;
    for (const pid of line.ended ?? []) running.delete(pid);
    for (const [pid, file] of line.started ?? []) if (running.size < MAX_PROCESSES) running.set(pid, file);
    tellPrograms();
  };
  const hear = (): void => {
    clearTimeout(silence);
    silence = setTimeout(() => hangs.resolve('it has been silent'), SILENCE_MS);
  };
  const watching = await openChildLines(child, (text) => {
    const line = parseWatcherLine(text);
    if (line === null) {
      // A word of the platform's own may come between; one that says nothing else is none of ours.
      garbled += 1;
      if (garbled > 100) hangs.resolve('it told what can not be read');
      return;
    }
    hear();
    take(line);
  });
  hear();
  const leave = context.onChange(() => {
    const { programs } = context.rules();
    if (programs === listed) return;
    listed = programs;
    watched = watchedPrograms(programs);
    tellPrograms();
  });
  return {
    closed: Promise.race([watching.closed, hangs.promise]),
    async close() {
      clearTimeout(silence);
      leave();
      await watching.close();
    },
  };
}
