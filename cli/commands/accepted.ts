import { ACCEPTED_STATES } from '../../core/contract/shard-state.ts';
import type { TaskRow } from '../../core/contract/snapshot.ts';

/**
 * Finds the attempts that were newly accepted in each list of latest tasks, oldest first. What is remembered is no longer than the list:
 * a task that has left it doesn't come back as accepted.
 */
export function acceptedSince(before: readonly TaskRow[]): (recent: readonly TaskRow[]) => TaskRow[] {
  let known = new Set(before.filter(isAccepted).map(keyOf));
  return (recent) => {
    if (recent.length === 0) return [];
    const accepted = recent.filter(isAccepted);
    const fresh = accepted.filter((row) => !known.has(keyOf(row)));
    known = new Set(accepted.map(keyOf));
    return fresh.reverse();
  };
}

function isAccepted(row: TaskRow): boolean {
  return ACCEPTED_STATES.includes(row.state);
}

function keyOf(row: TaskRow): string {
  return `${row.network}/${row.shardId}/${row.attempt}`;
}
