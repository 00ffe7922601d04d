import type { Handlers } from './contract/rpc.ts';
import { assetsOn } from './contract/sending.ts';
import type { Payments } from './payments.ts';
import { Quantity } from './settlement/rpc.ts';
import { balanceOf } from './settlement/transfer.ts';
import type { Wallet } from './wallet/wallet.ts';

/** What there is on a chain: of the wallet's, or of the address that is paid where no wallet is known here. */
export function balanceHandlers({
  payments,
  wallet,
}: {
  payments: Pick<Payments, 'chain' | 'gasAddress'>;
  wallet: Pick<Wallet, 'status'>;
}): Pick<Handlers, 'payments.balances'> {
  return {
    async 'payments.balances'({ chainId }) {
      const rpc = payments.chain(chainId);
      const { address, payee } = wallet.status();
      const owner = address ?? payee;
      const [native, ...tokens] = assetsOn(rpc.config);
      if (native === undefined) throw new TypeError('a chain without a native token');
      // A chain that can't say the first is not asked for the others; a token contract that doesn't answer hides nothing else.
      const amount = await balanceOf(rpc, native.token, owner);
      const amounts = await Promise.all(tokens.map(({ token }) => balanceOf(rpc, token, owner).catch(() => null)));
      const gasAddress = payments.gasAddress();
      const gas = gasAddress === null ? null : await rpc.ask('eth_getBalance', [gasAddress, 'latest'], Quantity).catch(() => null);
      return {
        ...{ chainId, address: owner, gas: gas?.toString() ?? null },
        assets: [native, ...tokens].map(({ asset, symbol, decimals }, index) => ({
          ...{ asset, symbol, decimals },
          amount: (index === 0 ? amount : amounts[index - 1])?.toString() ?? null,
        })),
      };
    },
  };
}
