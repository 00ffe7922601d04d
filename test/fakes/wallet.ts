import { HearthlendError } from '../../core/contract/errors.ts';
import type { IdentityStatus } from '../../core/contract/identity.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { walletHandlers } from '../../core/wallet-handlers.ts';

/** What an agent without a wallet says of it. */
export function noWallet(change: Partial<WalletStatus> = {}): WalletStatus {
  return {
    kind: 'none',
    address: null,
    unlocked: false,
    locksAt: null,
    backedUp: true,
    hasWords: false,
    payee: '0x1111111111111111111111111111111111111111',
    offline: { sealed: true, reason: null },
    ...change,
  };
}

/** What an agent says of its worker for which no wallet has signed. */
export function noIdentity(): IdentityStatus {
  const worker = noWallet().payee;
  return { worker, payee: worker, wallet: 'none', delegation: null, fault: null, revocations: [] };
}

/** The wallet's calls of an agent that has none and can make none. */
export function walletCalls(): ReturnType<typeof walletHandlers> {
  const refuse = (): never => {
    throw new HearthlendError('WALLET_MISSING');
  };
  return walletHandlers({
    status: () => noWallet(),
    begin: async () => refuse(),
    create: async () => refuse(),
    import: async () => refuse(),
    unlock: async () => refuse(),
    reveal: async () => refuse(),
    confirm: async () => refuse(),
    limit: async () => refuse(),
    limits: () => [],
    approve: async () => refuse(),
    describe: async () => refuse(),
    sign: async () => refuse(),
    lock: async () => noWallet(),
    watch: () => refuse(),
    keystore: () => refuse(),
    close: async () => undefined,
  });
}
