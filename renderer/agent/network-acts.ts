import { asHearthlendError } from '../../core/contract/errors.ts';
import type { NearbyNetwork, NetworkChoicesChange, NetworkPreview, NetworkRow } from '../../core/contract/networks.ts';
import type { RpcClient } from '../../core/contract/rpc-client.ts';
import type { Store } from './store.ts';

/** What the Networks page can have done. All but `refresh` reject: each form says itself what went wrong with it. */
export interface NetworkActs {
  /** Asks how they stand. Where that can't be had, what was known stays. */
  refresh(): Promise<void>;
  preview(link: string): Promise<NetworkPreview>;
  join(link: string, coordinator: string, choices: NetworkChoicesChange): Promise<NetworkRow>;
  set(network: string, choices: NetworkChoicesChange): Promise<void>;
  leave(network: string): Promise<void>;
  nearby(): Promise<NearbyNetwork[]>;
}

export function createNetworkActs(call: RpcClient['call'], { change }: Pick<Store, 'change'>): NetworkActs {
  async function refresh(): Promise<void> {
    try {
      const networks = await call('network.list', {});
      change((state) => ({ ...state, networks }));
    } catch (thrown) {
      const error = asHearthlendError(thrown);
      if (error.code !== 'RPC_DISCONNECTED') change((state) => ({ ...state, notice: error }));
    }
  }
  return {
    refresh,
    preview: (link) => call('network.preview', { link }),
    async join(link, coordinator, choices) {
      const row = await call('network.join', { link, coordinator, choices });
      await refresh();
      return row;
    },
    async set(network, choices) {
      await call('network.set', { network, choices });
      await refresh();
    },
    async leave(network) {
      await call('network.leave', { network });
      await refresh();
    },
    nearby: () => call('network.nearby', {}),
  };
}
