import type { TransactionRecord } from '../../core/contract/chain.ts';
import { asHearthlendError } from '../../core/contract/errors.ts';
import type { ClaimWish, IdentityClaim, IdentityStatus } from '../../core/contract/identity.ts';
import type { ChainBalances, ClaimOffer, ClaimSettings } from '../../core/contract/payments.ts';
import type { CallInput } from '../../core/contract/rpc.ts';
import type { RpcClient } from '../../core/contract/rpc-client.ts';
import { type Contact, contactSeen, type SendOffer, type SendRequest } from '../../core/contract/sending.ts';
import type { Described } from '../../core/contract/signing.ts';
import { createWalletClient } from '../../core/contract/wallet-client.ts';
import type { Store } from './store.ts';

/** An offer, and what was asked for it. */
export interface PlannedSend {
  request: SendRequest;
  offer: SendOffer;
}

/** What the Wallet page can have done with money. All but `watch` reject: each form says itself what went wrong with it. */
export interface MoneyActs {
  /** Asks how it stands, now and whenever something of it changes, until what it gives is called. */
  watch(): () => void;
  balances(chainId: number): Promise<ChainBalances>;
  /** What a claim would cost and bring. */
  plan(network: string): Promise<ClaimOffer>;
  claim(network: string): Promise<TransactionRecord>;
  setClaims(change: Partial<ClaimSettings>): Promise<void>;
  /** Asks the signer what a send means; it must be unlocked. */
  planSend(request: SendRequest): Promise<PlannedSend>;
  /** Sends what was planned, to the address that was shown; `newAddress`: although it looks like another. */
  send(planned: PlannedSend, password: string, newAddress: boolean): Promise<TransactionRecord>;
  limit(secret: { password: string; asset: string; perDay: string }): Promise<void>;
  contact(change: 'put' | 'remove', contact: Contact, password: string): Promise<void>;
  /** What the wallet is to sign about this PC's worker, and what its signer reads there. */
  planClaim(wish: ClaimWish): Promise<{ claim: IdentityClaim; described: Described }>;
  sign(claim: IdentityClaim, seen: string, password: string): Promise<void>;
  /** The same for a wallet elsewhere: EIP-712 JSON out, its signature in. */
  claimForElsewhere(wish: ClaimWish): Promise<{ claim: IdentityClaim; json: string }>;
  keep(claim: IdentityClaim, signature: string): Promise<void>;
}

export function createMoneyActs(call: RpcClient['call'], store: Pick<Store, 'change'>): MoneyActs & { changed(): void } {
  const wallet = createWalletClient(call);
  let watchers = 0;
  let asking = false;
  let again = false;

  async function refresh(): Promise<void> {
    // What changes meanwhile is asked for once more, however often it did.
    again = asking;
    if (asking) return;
    asking = true;
    try {
      const [status, contacts, limits, identity, settings] = await Promise.all([
        call('payments.status', {}),
        call('payments.contacts', {}),
        call('wallet.limits', {}),
        call('identity.show', {}),
        call('settings.get', {}),
      ]);
      const money = { status, contacts, limits, identity, claims: settings.claims };
      store.change((state) => ({ ...state, money, moneyTrouble: null }));
    } catch (thrown) {
      const error = asHearthlendError(thrown);
      if (error.code !== 'RPC_DISCONNECTED') store.change((state) => ({ ...state, moneyTrouble: error }));
    } finally {
      asking = false;
      if (again) void refresh();
    }
  }

  function kept(identity: IdentityStatus): void {
    store.change((state) => (state.money === null ? state : { ...state, money: { ...state.money, identity } }));
  }

  const described = async (claim: IdentityClaim) => ({ claim, described: await call('identity.describe', { claim }) });

  return {
    changed: () => {
      if (watchers > 0) void refresh();
    },
    watch() {
      watchers += 1;
      void refresh();
      return () => {
        watchers -= 1;
      };
    },
    balances: (chainId) => call('payments.balances', { chainId }),
    plan: (network) => call('payments.plan', { network }),
    async claim(network) {
      const sent = await call('payments.claim', { network });
      void refresh();
      return sent;
    },
    async setClaims(claims) {
      await call('settings.set', { claims } satisfies CallInput<'settings.set'>);
      await refresh();
    },
    planSend: async (request) => ({ request, offer: await call('payments.send-plan', request) }),
    async send({ request, offer }, password, newAddress) {
      const { seen, costs, to } = offer;
      const sealed = await wallet.approval(password, seen);
      // The address that was shown, whatever its name stands for by now.
      const sent = await call('approved.send', { ...request, to, seen, costs, newAddress, sealed });
      void refresh();
      return sent;
    },
    async limit(secret) {
      await wallet.limit(secret);
      await refresh();
    },
    async contact(change, contact, password) {
      const sealed = await wallet.approval(password, await contactSeen(change, contact));
      await call('approved.contact', { change, contact, sealed });
      await refresh();
    },
    planClaim: async (wish) => described(await call('identity.prepare', wish)),
    async sign(claim, seen, password) {
      kept(await call('approved.sign', { claim, seen, sealed: await wallet.approval(password, seen) }));
    },
    async claimForElsewhere(wish) {
      const claim = await call('identity.prepare', wish);
      return { claim, ...(await call('identity.typed-data', { claim })) };
    },
    async keep(claim, signature) {
      kept(await call('identity.keep', { claim, signature }));
    },
  };
}
