/**
 * One job's waiting shards of one demand, with how much was lent to its requester and to itself so far, in ms of machines' time. Both are kept so that
 * who comes anew starts level with who waits already (sqlite/shares.ts).
 */
export interface Lot {
  lot: number;
  requester: number;
  demand: number;
  requesterServedMs: number;
  lotServedMs: number;
  queued: number;
  /** What one of its shards takes of a machine, as far as it is known. */
  costMs: number;
  /** Whether the machine has the model: 2 loaded, 1 on its disk, 0 not at all. */
  affinity: 0 | 1 | 2;
}

/**
 * So much further than others' (ms of each machine that works) a requester's or a job's share may run ahead because a machine has its model loaded;
 * half as much where it only has it on its disk.
 */
export const AFFINITY_MS = 10_000;

/**
 * The shards to lend to one machine: of whom, in order. The first is of the least served requester, and of its least served job; another goes before it
 * where the machine has its model and it is not further ahead than the slack. What is lent with the first has the same demand, so that no other model is
 * loaded in between.
 * @param slackMs AFFINITY_MS times the machines that work
 */
export function chooseLots(lots: readonly Lot[], count: number, slackMs: number): Lot[] {
  const waiting = lots.map((lot) => ({ ...lot }));
  const chosen: Lot[] = [];
  while (chosen.length < count) {
    const best = next(waiting, chosen[0]?.demand, slackMs);
    if (best === undefined) break;
    chosen.push({ ...best });
    best.queued -= 1;
    best.lotServedMs += best.costMs;
    for (const lot of waiting) if (lot.requester === best.requester) lot.requesterServedMs += best.costMs;
  }
  return chosen;
}

function next(lots: readonly Lot[], demand: number | undefined, slackMs: number): Lot | undefined {
  const waiting = lots.filter(({ queued }) => queued > 0);
  const least = Math.min(...waiting.map(({ requesterServedMs }) => requesterServedMs));
  const leastOf = new Map<number, number>();
  for (const { requester, lotServedMs } of waiting) {
    leastOf.set(requester, Math.min(leastOf.get(requester) ?? Number.POSITIVE_INFINITY, lotServedMs));
  }
  // Once one was chosen, its model is as good as loaded.
  const affinityOf = (lot: Lot) => (demand === undefined ? lot.affinity : 2);
  return waiting
    .filter((lot) => {
      const slack = (slackMs * affinityOf(lot)) / 2;
      return (
        (demand === undefined || lot.demand === demand) &&
        lot.requesterServedMs <= least + slack &&
        lot.lotServedMs <= (leastOf.get(lot.requester) ?? 0) + slack
      );
    })
    .sort(
      (a, b) =>
        affinityOf(b) - affinityOf(a) || a.requesterServedMs - b.requesterServedMs || a.lotServedMs - b.lotServedMs || a.lot - b.lot,
    )[0];
}
