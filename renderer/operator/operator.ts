import { HearthlendError } from '../../core/contract/errors.ts';
import { type OperatorView, PAGE_CALLS, PAGE_EVENTS } from '../../core/contract/operator-page.ts';
import { createTableClient, type TableClient } from '../../core/contract/rpc-client.ts';
import type { Link } from '../agent/app-state.ts';
import { connect, type Open } from '../agent/connection.ts';

type Client = TableClient<typeof PAGE_CALLS, typeof PAGE_EVENTS>;

/** What the operator's page shows: the view as it was told last, and whether the coordinator is there. */
interface OperatorState {
  link: Link;
  view: OperatorView | null;
}

/** The operator's page towards its coordinator. */
export interface Operator {
  state(): OperatorState;
  subscribe(listener: () => void): () => void;
  call: Client['call'];
  reconnect(): void;
}

export function createOperator(open: Open): Operator {
  let state: OperatorState = { link: { name: 'connecting' }, view: null };
  const listeners = new Set<() => void>();
  const change = (next: Partial<OperatorState>) => {
    state = { ...state, ...next };
    for (const listener of listeners) listener();
  };
  const connection = connect<Client>({
    open,
    create: (transport) => createTableClient(transport, PAGE_CALLS, PAGE_EVENTS),
    onLink: (link) => change({ link }),
    async onClient(client) {
      client.on('view', (view) => change({ view }));
      const view = await client.call('app.watch', {});
      change({ view, link: { name: 'live' } });
    },
  });
  return {
    state: () => state,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async call(name, input) {
      const client = connection.client();
      if (client === null) throw new HearthlendError('RPC_DISCONNECTED');
      return client.call(name, input);
    },
    reconnect: connection.retry,
  };
}
