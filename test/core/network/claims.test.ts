import { expect, it } from 'vitest';
import { ANY_NETWORK, type WalletClaim } from '../../../core/contract/delegation.ts';
import { mayBePaid, withClaim } from '../../../core/network/claims.ts';
import type { JoinedNetwork } from '../../../core/network/records.ts';

const [OWN, OTHER, KEY, STRANGER] = ['1', '2', '3', '4'].map((digit) => `0x${digit.repeat(40)}`) as [string, string, string, string];
const record = { access: { terms: { coordinator: KEY } } } as JoinedNetwork;
const change = (networkKey: string): WalletClaim => ({
  kind: 'payee',
  change: { wallet: OWN, worker: OWN, networkKey, payee: OTHER, nonce: 1 },
  signature: '0x11',
});

it('tells a network what the wallet said for it, and takes tasks for a payee that the wallet named, and for no other', () => {
  expect(withClaim(record, change(STRANGER))).toBe(record);
  const told = withClaim(record, change(ANY_NETWORK));
  expect(told.claims).toEqual([change(ANY_NETWORK)]);
  expect(withClaim(told, change(KEY)).claims).toHaveLength(2);
  const named = [OWN, OTHER, STRANGER].map((payee) => mayBePaid(told, OWN, payee));
  expect(named).toEqual([true, true, false]);
  expect(mayBePaid({ ...record, payee: STRANGER }, OWN, STRANGER)).toBe(true);
  const many = Array.from({ length: 40 }).reduce<JoinedNetwork>((each) => withClaim(each, change(KEY)), record);
  expect([many.claims?.length, many.payees?.length]).toEqual([16, 16]);
});
