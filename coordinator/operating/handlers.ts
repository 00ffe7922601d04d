import type { ApiKeys } from '../../core/contract/api-keys.ts';
import type { JobIntake } from '../../core/contract/jobs.ts';
import type { NetworkTerms } from '../../core/contract/joining.ts';
import type { CoordinatorStatus, OperatorHandlers } from '../../core/contract/operating.ts';
import { tokenOf } from '../../core/contract/voucher.ts';
import { invite } from '../joining/invitations.ts';
import type { Store } from '../store.ts';
import type { EscrowWatch } from './escrow.ts';
import { memberCounts, memberRows } from './status.ts';

interface HandlerParts {
  store: Store;
  keys: ApiKeys;
  terms: NetworkTerms;
  fingerprint: string;
  /** Null where nothing is promised. */
  escrow: EscrowWatch | null;
  intake: Pick<JobIntake, 'jobs' | 'cancelJob'>;
  trust: Pick<OperatorHandlers, 'calibrate' | 'appeals' | 'reinstate'>;
  clock(): number;
  /** host:port that invitations lead to. */
  at(): string;
  /** What only the running program knows. */
  here(): Pick<CoordinatorStatus, 'version' | 'pid' | 'startedAt' | 'https' | 'servers' | 'metrics' | 'ownNats' | 'coordinators'> & {
    connected: number;
  };
}

/** What the operator's commands may ask. */
export function operatorHandlers({
  store,
  keys,
  terms,
  fingerprint,
  escrow,
  intake,
  trust,
  clock,
  at,
  here,
}: HandlerParts): Omit<OperatorHandlers, 'open'> {
  return {
    ...trust,
    async status() {
      const { connected, ...facts } = here();
      const [counts, members, openInvitations, promises, auditPay, owed] = await Promise.all([
        store.counts(clock()),
        memberCounts(store),
        store.openInvitations(clock()),
        store.promises(),
        store.auditPay(),
        escrow?.status() ?? null,
      ]);
      const { jobs, shards, audits, suspended, accepted } = counts;
      return {
        ...{ id: terms.id, operator: terms.operator, now: clock(), fingerprint, openInvitations, jobs, shards, audits, ...facts },
        workers: { ...members, suspended, connected },
        money: [...accepted].map(([asset, amount]) => {
          const token = terms.settlement === null ? null : tokenOf(terms.settlement, asset);
          const promised = promises.filter((each) => each.token === token).reduce((sum, each) => sum + each.amount, 0n);
          const settled = owed !== null && asset === terms.asset && owed.channelsRead === owed.channels ? owed.claimed : null;
          const forAudits = String(auditPay.get(asset) ?? 0n);
          return { asset, accepted: String(amount), forAudits, promised: token === null ? null : String(promised), settled };
        }),
        escrow: owed,
      };
    },
    invite: ({ lastingMs }) => invite(store, { at: at(), fingerprint, now: clock(), lastingMs }),
    workers: async () => ({ workers: await memberRows(store) }),
    revoke: async ({ worker }) => ({ revoked: await store.revoke(worker, clock()) }),
    jobs: async () => ({ jobs: await intake.jobs() }),
    cancel: ({ job }) => intake.cancelJob(job),
    addkey: async ({ name, budget }) => ({ ...(await keys.create(name, budget)), https: here().https, fingerprint }),
    keys: async () => ({ keys: await keys.list() }),
    dropkey: ({ key }) => keys.remove(key),
  };
}
