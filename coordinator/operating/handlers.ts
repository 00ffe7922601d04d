import type { ApiKeys } from '../../core/contract/api-keys.ts';
import type { NetworkTerms } from '../../core/contract/joining.ts';
import type { CoordinatorStatus, OperatorHandlers } from '../../core/contract/operating.ts';
import { invite } from '../joining/invitations.ts';
import type { Store } from '../store.ts';
import { memberCounts, memberRows } from './status.ts';

interface HandlerParts {
  store: Store;
  keys: ApiKeys;
  terms: NetworkTerms;
  fingerprint: string;
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
export function operatorHandlers({ store, keys, terms, fingerprint, trust, clock, at, here }: HandlerParts): OperatorHandlers {
  return {
    ...trust,
    async status() {
      const { connected, ...facts } = here();
      const [counts, members, openInvitations, promised] = await Promise.all([
        store.counts(clock()),
        memberCounts(store),
        store.openInvitations(clock()),
        store.promised(),
      ]);
      const { jobs, shards, audits, suspended, accepted } = counts;
      return {
        ...{ id: terms.id, operator: terms.operator, now: clock(), fingerprint, openInvitations, jobs, shards, audits, ...facts },
        workers: { ...members, suspended, connected },
        money: [...accepted].map(([asset, amount]) => {
          // What is promised is of the token that the escrow holds.
          const token = /\/erc20:(0x[0-9a-fA-F]{40})$/.exec(asset)?.[1];
          const of = [...promised].find(([address]) => address.toLowerCase() === token?.toLowerCase())?.[1] ?? 0n;
          const pays = terms.settlement !== null && token !== undefined;
          return { asset, accepted: String(amount), promised: pays ? String(of) : null, settled: null };
        }),
      };
    },
    invite: ({ lastingMs }) => invite(store, { at: at(), fingerprint, now: clock(), lastingMs }),
    workers: async () => ({ workers: await memberRows(store) }),
    revoke: async ({ worker }) => ({ revoked: await store.revoke(worker, clock()) }),
    addkey: async ({ name, budget }) => ({ ...(await keys.create(name, budget)), https: here().https, fingerprint }),
    keys: async () => ({ keys: await keys.list() }),
    dropkey: ({ key }) => keys.remove(key),
  };
}
