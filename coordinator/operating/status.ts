import type { MemberRow } from '../../core/contract/operating.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Store } from '../store.ts';

/** The machines that joined, with what came of them. */
export async function memberRows(store: Store): Promise<MemberRow[]> {
  const counts = await store.workerCounts();
  return (await store.members()).map((member) => {
    const { open = 0, accepted = 0, earned = new Map<string, bigint>() } = counts.get(member.worker) ?? {};
    const { valid, bad, undecided, suspendedUntil } = store.standing(member.worker);
    return {
      ...{ worker: member.worker, nkey: member.nkey, payee: member.payee, version: member.version },
      ...{ joinedAt: member.joinedAt, revokedAt: member.revokedAt, open, accepted, suspendedUntil },
      audits: { valid, bad, undecided },
      earned: [...earned].map(([asset, amount]) => ({ asset, amount: String(amount) })),
    };
  });
}

/** Joined machines by worker: one that joined again counts once. */
export async function memberCounts(store: Store): Promise<{ joined: number; revoked: number }> {
  const members = await store.members();
  const joined = new Set(members.filter(({ revokedAt }) => revokedAt === null).map(({ worker }) => worker));
  const revoked = new Set(members.filter(({ revokedWhy }) => revokedWhy === 'revoked').map(({ worker }) => worker));
  return { joined: joined.size, revoked: revoked.size };
}

/** What Prometheus reads of the network as a whole: every coordinator of it says the same, but for what is connected to it. */
export function networkMetrics(metrics: Metrics, store: Store, connected: () => number, clock: () => number): void {
  metrics.gauge('hearthlend_workers_connected', 'Workers that asked this coordinator something in the last 15 minutes.', () => [
    { value: connected() },
  ]);
  metrics.gauge('hearthlend_workers', 'Workers of the network, by state.', async () => {
    const [{ joined, revoked }, { suspended }] = await Promise.all([memberCounts(store), store.counts(clock())]);
    return [
      { value: joined, labels: { state: 'joined' } },
      { value: revoked, labels: { state: 'revoked' } },
      { value: suspended, labels: { state: 'suspended' } },
    ];
  });
  metrics.gauge('hearthlend_jobs', 'Jobs on record, by state.', async () => byState((await store.counts(clock())).jobs));
  metrics.gauge('hearthlend_shards', 'Shards that are not over, by state.', async () => byState((await store.counts(clock())).shards));
  metrics.gauge('hearthlend_audits', 'Audits of workers on record, by outcome.', async () =>
    Object.entries((await store.counts(clock())).audits).map(([outcome, value]) => ({ value, labels: { outcome } })),
  );
  metrics.gauge('hearthlend_accepted_base_units', 'What accepted work is worth since the beginning, by asset, to 53 bits.', async () =>
    [...(await store.counts(clock())).accepted].map(([asset, amount]) => ({ value: Number(amount), labels: { asset } })),
  );
}

function byState(counts: Readonly<Record<string, number>>) {
  return Object.entries(counts).map(([state, value]) => ({ value, labels: { state } }));
}
