import { ANY_NETWORK, type WalletClaim } from '../contract/delegation.ts';
import { JOIN_PATHS, Payout } from '../contract/joining.ts';
import type { Address } from '../contract/receipt.ts';
import { askJoined } from './granting.ts';
import type { JoinedNetwork } from './records.ts';

/** More of them wait for no network. */
const MAX_WAITING = 16;
const MAX_PAYEES = 16;

const same = (a: Address, b: Address) => a.toLowerCase() === b.toLowerCase();

/** Whether a wallet said it for this network. */
function isFor({ access }: JoinedNetwork, claim: WalletClaim): boolean {
  if (claim.kind === 'revocation') return true;
  const { networkKey } = claim.kind === 'delegation' ? claim.delegation : claim.change;
  return networkKey === ANY_NETWORK || same(networkKey, access.terms.coordinator);
}

/** The record of a network that is to be told what the wallet said, as soon as it can be reached; as it is where that is not for it. */
export function withClaim(record: JoinedNetwork, claim: WalletClaim): JoinedNetwork {
  if (!isFor(record, claim)) return record;
  const claims = [...(record.claims ?? []), claim].slice(-MAX_WAITING);
  if (claim.kind !== 'payee') return { ...record, claims };
  // From whenever the network says, it may name this one: the wallet wants it.
  return { ...record, claims, payees: [...(record.payees ?? []), claim.change.payee].slice(-MAX_PAYEES) };
}

/** Whether a task's receipt may name this payee: this machine's own wallet has said so, or joined with it. */
export function mayBePaid({ payee, payees = [] }: JoinedNetwork, own: Address, named: Address): boolean {
  return [own, ...(payee === undefined ? [] : [payee]), ...payees].some((each) => same(each, named));
}

/** Tells a network what the wallet said. @throws NETWORK_UNREACHABLE, and as the network refuses */
export async function sendClaim(network: JoinedNetwork, claim: WalletClaim): Promise<Payout> {
  return Payout.parse(await askJoined(network, JOIN_PATHS.claims, { claim }));
}
