import type { Handlers } from './contract/rpc.ts';
import type { Wallet } from './wallet/wallet.ts';

/** The wallet's calls: nothing but ciphertext passes through here. */
export function walletHandlers(wallet: Wallet): Pick<Handlers, Extract<keyof Handlers, `wallet.${string}`>> {
  return {
    'wallet.status': async () => wallet.status(),
    'wallet.begin': async () => ({ signerKey: await wallet.begin() }),
    'wallet.create': async ({ sealed }) => wallet.create(sealed),
    'wallet.import': ({ sealed }) => wallet.import(sealed),
    'wallet.unlock': ({ sealed }) => wallet.unlock(sealed),
    'wallet.reveal': ({ sealed }) => wallet.reveal(sealed),
    'wallet.confirm': ({ sealed }) => wallet.confirm(sealed),
    'wallet.limit': ({ sealed }) => wallet.limit(sealed),
    'wallet.limits': async () => wallet.limits(),
    'wallet.lock': () => wallet.lock(),
    'wallet.watch': async ({ address }) => wallet.watch(address),
    'wallet.keystore': async () => ({ json: wallet.keystore() }),
  };
}
