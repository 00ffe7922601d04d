import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import type { RpcClient } from '../../core/contract/rpc-client.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { createWalletClient, type WalletClient } from '../../core/contract/wallet-client.ts';
import type { Store } from './store.ts';

/** What the Wallet page can have done. Unlike the rest these reject: each form says itself what went wrong with it. */
export interface WalletActs extends Pick<WalletClient, 'create' | 'import' | 'unlock' | 'words' | 'confirm'> {
  lock(): Promise<WalletStatus>;
  /** @param address null: no longer */
  watch(address: string | null): Promise<WalletStatus>;
  /** Asks how it stands. Never rejects: what went wrong is in the state. */
  refresh(): Promise<void>;
}

export function createWalletActs(call: RpcClient['call'], { change }: Store): WalletActs {
  const client = createWalletClient(call);

  /** The event tells every page; this one need not wait for it. */
  async function kept(work: Promise<WalletStatus>): Promise<WalletStatus> {
    const status = await work;
    change((state) => ({ ...state, wallet: status, walletTrouble: null }));
    return status;
  }

  return {
    async create(password) {
      const created = await client.create(password);
      await kept(Promise.resolve(created.status));
      return created;
    },
    import: (secret) => kept(client.import(secret)),
    unlock: (password) => kept(client.unlock(password)),
    words: client.words,
    confirm: (words) => kept(client.confirm(words)),
    lock: () => kept(call('wallet.lock', {})),
    watch: (address) => kept(call('wallet.watch', { address })),
    async refresh() {
      try {
        await kept(call('wallet.status', {}));
      } catch (thrown) {
        const error = asHearthlendError(thrown);
        if (error instanceof HearthlendError && error.code === 'RPC_DISCONNECTED') return;
        change((state) => ({ ...state, wallet: null, walletTrouble: error }));
      }
    },
  };
}
