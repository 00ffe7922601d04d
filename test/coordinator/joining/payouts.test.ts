import fc from 'fast-check';
import { expect, test } from 'vitest';
import { applyClaim, isForNetwork, type PayoutRecord, payoutAt, payoutOf, stoppedWhy } from '../../../coordinator/joining/payouts.ts';
import { ANY_NETWORK, type WalletClaim } from '../../../core/contract/delegation.ts';

const WORKER = `0x${'a1'.repeat(20)}`;
const WALLETS = ['b2', 'c3', 'd4'].map((byte) => `0x${byte.repeat(20)}`) as [string, string, string];
const [WALLET, OTHER, THIRD] = WALLETS;
const signature = `0x${'11'.repeat(65)}`;
const DELAY = 1000;
const fresh: PayoutRecord = {
  ...{ worker: WORKER, payee: WALLET, wallet: null, delegation: null, revokedUpTo: null, payeeNonce: 0, next: null, former: [] },
};
const delegation = (nonce: number, expiry = 10_000, wallet = WALLET): WalletClaim => ({
  kind: 'delegation',
  delegation: { wallet, worker: WORKER, networkKey: ANY_NETWORK, scope: 'earn', notBefore: 0, expiry, nonce },
  signature,
});
const revocation = (nonce: number, wallet = WALLET): WalletClaim => ({
  kind: 'revocation',
  revocation: { wallet, worker: WORKER, nonce },
  signature,
});
const payee = (to: string, nonce: number, wallet = WALLET): WalletClaim => ({
  kind: 'payee',
  change: { wallet, worker: WORKER, networkKey: ANY_NETWORK, payee: to, nonce },
  signature,
});
/** One after the other, each at its time; gives what came of the last. */
function after(...said: [WalletClaim, number][]) {
  let record = fresh;
  let outcome = '';
  for (const [claim, at] of said) ({ record, outcome } = applyClaim(record, claim, at, DELAY));
  return { record, outcome };
}

test('a change of payee waits for its delay, and its wallet can take it back until then', () => {
  const { record } = after([payee(OTHER, 1), 5000]);
  expect(payoutOf(record, 5999)).toMatchObject({ payee: WALLET, next: { payee: OTHER, at: 6000 } });
  expect(payoutAt(record, 6000)).toMatchObject({ payee: OTHER, next: null, former: [WALLET] });
  const back = after([payee(OTHER, 1), 5000], [payee(WALLET, 2), 5500]);
  expect(back.outcome).toBe('taken');
  expect(payoutOf(back.record, 9000)).toMatchObject({ payee: WALLET, next: null });
  // A later one takes the place of one that waits, and waits anew.
  expect(payoutOf(after([payee(OTHER, 1), 5000], [payee(THIRD, 2), 5900]).record, 6899)).toMatchObject({
    payee: WALLET,
    next: { payee: THIRD, at: 6900 },
  });
});

test('the wallet stays the one that may say it, also when it is paid elsewhere; nobody else may, the new payee not either', () => {
  const said = [payee(OTHER, 1), 0] as [WalletClaim, number];
  expect(after(said, [payee(THIRD, 2, OTHER), 5000]).outcome).toBe('other-wallet');
  expect(after(said, [revocation(9, OTHER), 5000]).outcome).toBe('other-wallet');
  expect(after(said, [payee(THIRD, 2), 5000])).toMatchObject({ outcome: 'taken', record: { payee: OTHER, next: { payee: THIRD } } });
});

test('what was said before is not said again later: nonces only grow', () => {
  expect(after([payee(OTHER, 2), 0], [payee(THIRD, 1), 1]).outcome).toBe('stale');
  expect(after([payee(OTHER, 2), 0], [payee(THIRD, 2), 1]).outcome).toBe('stale');
  expect(after([payee(OTHER, 2), 0], [payee(OTHER, 2), 1])).toMatchObject({ outcome: 'taken', record: { next: { at: DELAY } } });
  expect(after([delegation(3), 0], [revocation(3), 1], [delegation(3), 2]).outcome).toBe('stale');
});

test('a revocation stops the work at once, until the wallet signs anew; so does the end of a delegation', () => {
  expect(stoppedWhy(after([delegation(3), 0]).record, 1)).toBeNull();
  const revoked = after([delegation(3), 0], [revocation(3), 1]).record;
  expect(stoppedWhy(revoked, 1)).toBe('revoked');
  expect(stoppedWhy(applyClaim(revoked, delegation(4), 2, DELAY).record, 2)).toBeNull();
  expect(stoppedWhy(after([revocation(7), 1]).record, 1)).toBe('revoked');
  expect(stoppedWhy(after([delegation(3), 0]).record, 10_000_000)).toBe('expired');
  // Of an older delegation than the one that counts: nothing is stopped.
  expect(stoppedWhy(after([delegation(9), 0], [revocation(3), 1]).record, 1)).toBeNull();
});

test('it is for the network of the key that it names, and a revocation for all', () => {
  const key = `0x${'77'.repeat(20)}`;
  const of = (networkKey: string): WalletClaim => ({
    kind: 'payee',
    change: { wallet: WALLET, worker: WORKER, networkKey, payee: OTHER, nonce: 1 },
    signature,
  });
  expect([isForNetwork(of(ANY_NETWORK), key), isForNetwork(of(key), key), isForNetwork(of(OTHER), key)]).toEqual([true, true, false]);
  expect(isForNetwork(revocation(1), key)).toBe(true);
});

test('whatever is said in whatever order: only the wallet’s own words change anything, and the payee never changes before a delay has passed', () => {
  const claims = fc.oneof(
    fc.tuple(fc.constantFrom(...WALLETS), fc.nat(20), fc.constantFrom(...WALLETS)).map(([wallet, nonce, to]) => payee(to, nonce, wallet)),
    fc.tuple(fc.constantFrom(...WALLETS), fc.nat(20)).map(([wallet, nonce]) => revocation(nonce, wallet)),
    fc.tuple(fc.constantFrom(...WALLETS), fc.nat(20)).map(([wallet, nonce]) => delegation(nonce, 10 ** 9, wallet)),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(claims, fc.integer({ min: 0, max: 700 })), { maxLength: 20 }), (said) => {
      let record = fresh;
      let at = 0;
      let changedAt: number | null = null;
      for (const [claim, waited] of said) {
        at += waited;
        const before = payoutAt(record, at).payee;
        const next = applyClaim(record, claim, at, DELAY);
        expect(next.record.payee).toBe(before);
        const wallet =
          claim.kind === 'delegation' ? claim.delegation.wallet : claim.kind === 'payee' ? claim.change.wallet : claim.revocation.wallet;
        if (wallet !== WALLET) expect(next).toEqual({ outcome: 'other-wallet', record: payoutAt(record, at) });
        if (next.record.payee !== record.payee) {
          expect(changedAt === null || at - changedAt >= 0).toBe(true);
          expect(record.next !== null && at >= record.next.at).toBe(true);
          changedAt = at;
        }
        if (next.record.next !== null) expect(next.record.next.at).toBeGreaterThan(at);
        record = next.record;
      }
    }),
  );
});
