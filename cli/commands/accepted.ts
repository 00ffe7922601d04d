import { ACCEPTED_STATES } from '../../core/contract/shard-state.ts';
import type { TaskRow } from '../../core/contract/snapshot.ts';

/**
 * Finds the attempts that are newly accepted in each list of latest tasks, oldest first; what was accepted before `sinceMs` is not new.
 * What is remembered is no longer than the list: a task that has left it doesn't come back.
 */
export function acceptedSince(sinceMs: number): (recent: readonly TaskRow[]) => TaskRow[] {
  let known = new Set<string>();
  return (recent) => {
    const accepted = recent.filter((row) => ACCEPTED_STATES.includes(row.state) && row.at >= sinceMs);
    const fresh = accepted.filter((row) => !known.has(keyOf(row)));
    if (recent.length > 0) known = new Set(accepted.map(keyOf));
    return fresh.reverse();
  };
}

function keyOf(row: TaskRow): string {
  return `${row.network}/${row.shardId}/${row.attempt}`;
}
