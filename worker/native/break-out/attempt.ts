import type { BreakOutTask } from '../../../core/contract/break-out.ts';
import type { BreakOutAttempt, BreakOutWall } from '../../../core/contract/isolation.ts';

/**
 * One way out. `reach` really tries it: it says what it reached, or throws or returns null where the way is closed. What it makes it
 * removes again, since without a sandbox it succeeds, on a real machine.
 */
export interface WayOut {
  /** Stable, kebab-case. */
  name: string;
  kind: BreakOutAttempt['kind'];
  /** The first wall in its way, where all stand. */
  wall: BreakOutWall;
  reach(task: BreakOutTask, signal: AbortSignal): Promise<string | null> | string | null;
}

/** An attempt that gets no answer within this time has not got through. */
const ATTEMPT_MS = 1500;
const DETAIL_CHARS = 400;

export async function attempt(way: WayOut, task: BreakOutTask): Promise<BreakOutAttempt> {
  const timer = new AbortController();
  const late = new Promise<null>((resolve) => timer.signal.addEventListener('abort', () => resolve(null)));
  const timeout = setTimeout(() => timer.abort(), ATTEMPT_MS);
  const verdict = (succeeded: boolean, detail: string): BreakOutAttempt => ({
    name: way.name,
    kind: way.kind,
    succeeded,
    ...(succeeded ? {} : { wall: way.wall }),
    detail: detail.slice(0, DETAIL_CHARS),
  });
  try {
    const reached = await Promise.race([way.reach(task, timer.signal), late]);
    if (reached !== null) return verdict(true, reached);
    return verdict(false, timer.signal.aborted ? `no answer within ${ATTEMPT_MS} ms` : 'nothing there');
  } catch (error) {
    const { code, message } = error as Partial<NodeJS.ErrnoException>;
    return verdict(false, code ?? message ?? String(error));
  } finally {
    clearTimeout(timeout);
    timer.abort();
  }
}

/** What the first of these that works says; throws the last refusal where none works, and returns null where there is none to try. */
export function firstThatWorks(paths: string[], use: (path: string) => string | null): string | null {
  let refusal: unknown = null;
  for (const path of paths) {
    try {
      const reached = use(path);
      if (reached !== null) return reached;
    } catch (error) {
      refusal = error;
    }
  }
  if (refusal !== null) throw refusal;
  return null;
}
