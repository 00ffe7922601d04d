import { ANY_NETWORK, type WalletClaim } from './contract/delegation.ts';
import { claimParts, delegationFault, signedByWallet, typedData } from './contract/delegation-hash.ts';
import { HearthlendError } from './contract/errors.ts';
import type { ClaimWish, IdentityClaim, IdentityStatus } from './contract/identity.ts';
import type { Address } from './contract/receipt.ts';
import type { Handlers } from './contract/rpc.ts';
import { openDelegations } from './delegations.ts';
import { checkedAddress } from './wallet/state.ts';
import type { Wallet } from './wallet/wallet.ts';

export interface IdentitiesParts {
  dataDir: string;
  /** The worker of now. */
  readonly worker: Address;
  wallet: Pick<Wallet, 'status' | 'describe' | 'sign'>;
  /** What the wallet has signed goes to the networks that it is for. */
  tellNetworks(claim: WalletClaim): void;
  clock(): number;
}

export type IdentityCalls = Extract<keyof Handlers, `identity.${string}`>;
type OwnCalls = Exclude<IdentityCalls, `identity.rekey${string}`>;

/** Who works here and for which wallet: what the wallet signs about the worker, kept once it is signed. */
export function identityHandlers(parts: IdentitiesParts): Pick<Handlers, OwnCalls> {
  const { dataDir, wallet, clock } = parts;
  const store = openDelegations(dataDir);
  const seconds = () => Math.floor(clock() / 1000);

  function show(): IdentityStatus {
    const { worker } = parts;
    const { delegation, revocations } = store.read();
    const { kind, payee } = wallet.status();
    const networkKey = delegation?.delegation.networkKey ?? ANY_NETWORK;
    const asked = { worker, networkKey, now: seconds(), revokedUpTo: null };
    return {
      ...{ worker, payee, wallet: kind, delegation, revocations },
      fault: delegation === null ? null : delegationFault(delegation.delegation, asked),
    };
  }

  /** What the wallet is to sign. Its number is above all that it signed for this worker before. */
  function prepare(wish: ClaimWish): IdentityClaim {
    const { address } = wallet.status();
    if (address === null) throw new HearthlendError('WALLET_MISSING');
    const { delegation, revocations, payees = [] } = store.read();
    const used = [
      ...[delegation?.delegation.nonce ?? 0, ...revocations.map(({ revocation }) => revocation.nonce)],
      ...payees.map(({ change }) => change.nonce),
    ];
    const nonce = Math.max(seconds(), ...used.map((number) => number + 1));
    const names = { wallet: address, worker: parts.worker };
    if (wish.kind === 'revocation') return { kind: 'revocation', revocation: { ...names, nonce } };
    if (wish.kind === 'payee') {
      const payee = checkedAddress(wish.payee);
      return { kind: 'payee', change: { ...names, networkKey: wish.networkKey ?? ANY_NETWORK, payee, nonce } };
    }
    const notBefore = seconds();
    const expiry = notBefore + wish.days * 86_400;
    const networkKey = wish.networkKey ?? ANY_NETWORK;
    return { kind: 'delegation', delegation: { ...names, networkKey, scope: 'earn', notBefore, expiry, nonce } };
  }

  /** @throws DELEGATION_INVALID where it is not for the worker and wallet here, or the wallet's key did not sign it */
  function keep(claim: IdentityClaim, signature: string): IdentityStatus {
    const invalid = (detail: string) => new HearthlendError('DELEGATION_INVALID', { detail });
    const signed: WalletClaim = { ...claim, signature };
    const said = claimParts(signed);
    const { address } = wallet.status();
    if (address === null) throw new HearthlendError('WALLET_MISSING');
    if (said.wallet.toLowerCase() !== address.toLowerCase()) throw invalid(`it is of the wallet ${said.wallet}`);
    if (!signedByWallet(said.digest, signature, said.wallet)) throw invalid('the wallet did not sign it');
    const before = store.read();
    if (claim.kind === 'payee') {
      if (claim.change.worker.toLowerCase() !== parts.worker.toLowerCase()) throw invalid('other-worker');
      const others = (before.payees ?? []).filter(({ change }) => change.networkKey !== claim.change.networkKey);
      store.write({ ...before, payees: [...others, { change: claim.change, signature }] });
      parts.tellNetworks(signed);
      return show();
    }
    if (claim.kind === 'revocation') {
      const { delegation } = before;
      const goes = delegation !== null && delegation.delegation.nonce <= claim.revocation.nonce;
      const revocations = [...before.revocations, { revocation: claim.revocation, signature }];
      store.write({ ...before, delegation: goes ? null : delegation, revocations });
      parts.tellNetworks(signed);
      return show();
    }
    const revokedUpTo = Math.max(0, ...before.revocations.map(({ revocation }) => revocation.nonce));
    const asked = { worker: parts.worker, networkKey: claim.delegation.networkKey, now: seconds(), revokedUpTo };
    const fault = delegationFault(claim.delegation, asked);
    if (fault !== null) throw invalid(fault);
    store.write({ ...before, delegation: { delegation: claim.delegation, signature } });
    parts.tellNetworks(signed);
    return show();
  }

  return {
    'identity.show': async () => show(),
    'identity.prepare': async (wish) => prepare(wish),
    'identity.typed-data': async ({ claim }) => ({ json: JSON.stringify(typedData(claim), null, 2) }),
    'identity.describe': ({ claim }) => wallet.describe(claim),
    'identity.sign': async ({ claim, seen }) => keep(claim, (await wallet.sign(claim, seen)).signed),
    'identity.keep': async ({ claim, signature }) => keep(claim, signature),
  };
}
