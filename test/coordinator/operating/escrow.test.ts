import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { createMetrics } from '../../../coordinator/metrics/metrics.ts';
import { type EscrowReading, type EscrowWatch, escrowMetrics, watchEscrow } from '../../../coordinator/operating/escrow.ts';
import { liabilitiesOf } from '../../../coordinator/operating/liabilities.ts';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { NATIVE_TOKEN } from '../../../core/contract/voucher.ts';

const WHOLE = 10n ** 18n;
const amount = fc.bigInt({ min: 0n, max: 2n ** 255n });
const channel = fc.record({
  worker: fc.constant(`0x${'a'.repeat(40)}`),
  payee: fc.constant(`0x${'b'.repeat(40)}`),
  accepted: amount,
  promised: amount,
  holding: fc.option(fc.record({ claimed: amount, earmark: fc.record({ amount, thawing: amount }) })),
});

test('what is covered and what is missing make up what is owed; nothing covers more than it holds, and more in the deposit never leaves more missing', () => {
  fc.assert(
    fc.property(fc.array(channel, { maxLength: 8 }), amount, amount, amount, (channels, balance, thawing, more) => {
      const at = (deposit: bigint) => liabilitiesOf(channels, { balance: deposit, thawing });
      const { total, covered, missing, earmarked } = at(balance);
      expect(covered + missing).toBe(total);
      expect(covered >= 0n && missing >= 0n && covered <= earmarked + balance).toBe(true);
      expect(at(balance + more).missing <= missing).toBe(true);
      // All that is missing, put into the deposit, covers all.
      expect(at(balance + thawing + missing).missing).toBe(0n);
    }),
  );
});

test('an earmark pays its own channel alone, and what thaws covers nothing', () => {
  const book = { worker: 'w', payee: 'p', accepted: 10n, promised: 6n };
  const rich = { ...book, holding: { claimed: 4n, earmark: { amount: 100n, thawing: 0n } } };
  const poor = { ...book, holding: { claimed: 0n, earmark: { amount: 10n, thawing: 8n } } };
  expect(liabilitiesOf([rich, poor], { balance: 5n, thawing: 4n })).toEqual({
    ...{ unvouched: 8n, unclaimed: 8n, total: 16n, claimed: 4n, earmarked: 110n, earmarkThawing: 8n },
    ...{ covered: 6n + 2n + 1n, missing: 7n },
  });
});

const PAYER = `0x${'d4'.repeat(20)}`;
const SIGNER = `0x${'05'.repeat(20)}`;
const WORKER = `0x${'a1'.repeat(20)}`;
const PAYEE = `0x${'b2'.repeat(20)}`;
const contract = `0x${'ee'.repeat(20)}`;
const terms = {
  ...{ id: 'studio', operator: 'Ann', contact: '', rules: '', coordinator: SIGNER, asset: 'eip155:31337/slip44:60', symbol: 'ETH' },
  ...{ decimals: 18, prices: [], categories: [], isolation: ['os' as const], holdBackMs: 3_600_000 },
  settlement: { chainId: 31_337, contract, payer: PAYER, epochMs: 1000 },
};
const FOR_EVER = 2n ** 64n - 1n;
const store = {
  uncovered: async () => [{ worker: WORKER, payee: PAYEE, amount: 2n * WHOLE }],
  acceptedSince: async () => WHOLE,
  promises: async () => [{ worker: WORKER, payee: PAYEE, token: NATIVE_TOKEN, amount: 3n * WHOLE }],
};
let watch: EscrowWatch;
const open = (read: (() => Promise<EscrowReading>) | null): EscrowWatch => {
  const logged = () => undefined;
  watch = watchEscrow({ store, terms, signer: SIGNER, read, clock: () => 1_800_000_000_000, log: logged });
  return watch;
};
afterEach(() => watch?.close());
const reading = (change: Partial<EscrowReading> = {}): EscrowReading => ({
  deposit: { balance: 2n * WHOLE, thawing: 0n, thawedAt: 0n },
  signerUntil: FOR_EVER,
  channels: [{ claimed: 2n * WHOLE, earmark: { amount: 0n, thawing: 0n } }],
  ...change,
});

test('an escrow that is too low is said with what is missing, in the status and for Prometheus', async () => {
  open(async () => reading());
  await watch.look();
  const status = await watch.status();
  expect(status).toMatchObject({
    owed: { unvouched: `${2n * WHOLE}`, heldBack: `${WHOLE}`, unclaimed: `${WHOLE}`, total: `${3n * WHOLE}` },
    ...{ covered: `${2n * WHOLE}`, missing: `${WHOLE}`, claimed: `${2n * WHOLE}`, channels: 1, channelsRead: 1 },
    signer: { state: 'authorised', until: null },
    trouble: { key: 'escrow.low', params: { missing: '1 ETH', payer: PAYER } },
  });
  const metrics = createMetrics();
  escrowMetrics(metrics, watch);
  const text = await metrics.text();
  expect(text).toMatch(/^hearthlend_escrow_base_units\{kind="missing"\} 1000000000000000000$/m);
  expect(text).toMatch(/^hearthlend_owed_base_units\{kind="held_back"\} 1000000000000000000$/m);
});

test('what the chain has not said is not known: no figure is made up, and why is said', async () => {
  open(null);
  expect(await watch.status()).toMatchObject({
    owed: { unvouched: `${2n * WHOLE}`, total: null, unclaimed: null },
    ...{ holds: null, covered: null, missing: null, claimed: null, signer: null, checkedAt: null, channelsRead: 0 },
    trouble: { key: 'CHAIN_UNKNOWN' },
  });
  watch.close();
  let answer = async () => reading();
  open(() => answer());
  await watch.look();
  answer = () => Promise.reject(new HearthlendError('CHAIN_DISAGREES', { chain: 'Here', method: 'eth_call' }));
  await watch.look();
  // What it said last stands, with its time, and what is wrong since.
  expect(await watch.status()).toMatchObject({ missing: `${WHOLE}`, trouble: { key: 'CHAIN_DISAGREES' } });
});

test('a coordinator whose vouchers the escrow does not take says so before anything else', async () => {
  open(async () => reading({ signerUntil: 0n, deposit: { balance: 0n, thawing: 0n, thawedAt: 0n } }));
  await watch.look();
  expect(await watch.status()).toMatchObject({ signer: { state: 'unknown' }, trouble: { key: 'escrow.signer-unknown' } });
});
