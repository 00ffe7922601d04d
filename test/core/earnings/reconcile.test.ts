import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Divergence, ReconciledNetwork } from '../../../core/contract/earnings.ts';
import { practiceCredit } from '../../../core/contract/money.ts';
import { splitAmount } from '../../../core/contract/vouching.ts';
import { type PayRecord, reconcile } from '../../../core/earnings/reconcile.ts';

/** Of one history, whose receipts come to no more than an amount may be (uint256) and near to it. */
const STEPS = 40;
const MOST = (1n << 256n) - 1n;
const TOKEN = 'eip155:1612/slip44:60';
const US = `0x${'a1'.repeat(20)}`;
const OWNER = `0x${'b2'.repeat(20)}`;
const WORKERS = [`0x${'c3'.repeat(20)}`, `0x${'d4'.repeat(20)}`] as const;
const channelOf = (network: string, worker: string) => `0x${Buffer.from(`${network}${worker}`).toString('hex').padEnd(64, '0').slice(-64)}`;

/** One step of a history: a receipt, a voucher for all that came since the last one, or a claim of a part of what is vouched. */
const step = fc.oneof(
  fc.record({
    kind: fc.constant('receipt' as const),
    network: fc.constantFrom('a', 'b'),
    worker: fc.constantFrom(...WORKERS),
    amount: fc.oneof(fc.bigInt({ min: 0n, max: 10n ** 21n }), fc.bigInt({ min: 0n, max: MOST / BigInt(STEPS) })),
    share: fc.integer({ min: 0, max: 10_000 }),
    asset: fc.constantFrom(TOKEN, TOKEN, practiceCredit('a')),
  }),
  fc.record({
    kind: fc.constant('voucher' as const),
    network: fc.constantFrom('a', 'b'),
    worker: fc.constantFrom(...WORKERS),
    off: fc.bigInt({ min: -5n, max: 5n }),
  }),
  fc.record({
    kind: fc.constant('claim' as const),
    network: fc.constantFrom('a', 'b'),
    worker: fc.constantFrom(...WORKERS),
    part: fc.integer({ min: 0, max: 100 }),
  }),
  fc.record({ kind: fc.constant('waiting' as const), network: fc.constantFrom('a', 'b', 'c'), amount: fc.nat() }),
);

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What a ledger would have on record after these steps. */
function recordOf(steps: ReadonlyArray<typeof step extends fc.Arbitrary<infer S> ? S : never>): PayRecord {
  const shares = new Map<string, Mutable<PayRecord['shares'][number]>>();
  const channels = new Map<string, Mutable<PayRecord['channels'][number]>>();
  const waiting: PayRecord['waiting'][number][] = [];
  for (const each of steps) {
    if (each.kind === 'receipt') {
      const { network, worker, asset, amount, share } = each;
      const furtherPayees = share === 0 ? [] : [{ payee: OWNER, shareBasisPoints: share }];
      for (const part of splitAmount({ amount: amount.toString(), payee: US, furtherPayees })) {
        const key = `${network} ${worker} ${asset} ${part.payee}`;
        const before = shares.get(key) ?? { network, worker, asset, payee: part.payee, amount: '0', receipts: 0 };
        const sum = BigInt(before.amount) + part.amount;
        shares.set(key, { ...before, amount: sum.toString(), receipts: before.receipts + (part.payee === US ? 1 : 0) });
      }
    } else if (each.kind === 'voucher') {
      const { network, worker, off } = each;
      const earned = BigInt(shares.get(`${network} ${worker} ${TOKEN} ${US}`)?.amount ?? 0);
      const before = channels.get(`${network} ${worker}`);
      const cumulative = BigInt(before?.cumulative ?? 0) + (earned - BigInt(before?.expected ?? 0)) + off;
      if (earned === 0n || cumulative < BigInt(before?.cumulative ?? 0)) continue;
      channels.set(`${network} ${worker}`, {
        ...{ channel: channelOf(network, worker), network, worker, asset: TOKEN, payee: US, epoch: (before?.epoch ?? 0) + 1 },
        ...{ cumulative: cumulative.toString(), expected: earned.toString(), paid: before?.paid ?? '0' },
      });
    } else if (each.kind === 'claim') {
      const channel = channels.get(`${each.network} ${each.worker}`);
      if (channel === undefined) continue;
      const rest = BigInt(channel.cumulative) - BigInt(channel.paid);
      channel.paid = (BigInt(channel.paid) + (rest * BigInt(each.part)) / 100n).toString();
    } else waiting.push({ network: each.network, asset: TOKEN, amount: String(each.amount) });
  }
  return { shares: [...shares.values()], channels: [...channels.values()], waiting };
}

test('over any history the four numbers come out to the last unit, every difference named', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: STEPS }), (steps) => {
      const record = recordOf(steps);
      for (const row of reconcile(record)) {
        expect(() => ReconciledNetwork.parse({ ...row, symbol: 'OPEN', decimals: 18 })).not.toThrow();
        expect(row.asset).toBe(TOKEN);
        const of = (kind: Divergence['kind']) =>
          row.divergences.filter((each) => each.kind === kind).reduce((sum, { amount }) => sum + BigInt(amount), 0n);
        const [accepted, promised, paid] = [BigInt(row.accepted), BigInt(row.promised), BigInt(row.paid)];
        // Accepted is what receipts say, and every part of it is somewhere.
        const receipts = steps.flatMap((each) =>
          each.kind === 'receipt' && each.network === row.network && each.asset === TOKEN ? [each.amount] : [],
        );
        expect(accepted).toBe(receipts.reduce((sum, amount) => sum + amount, 0n));
        expect(accepted).toBe(paid + of('not-claimed') + of('short') - of('over') + of('not-vouched') + of('other-payees'));
        // Accepted is vouched and unvouched; nothing is claimed that isn't vouched.
        expect(accepted).toBe(promised + of('short') - of('over') + of('not-vouched') + of('other-payees'));
        expect(paid).toBeLessThanOrEqual(promised);
        expect(promised - paid).toBe(of('not-claimed'));
        expect(BigInt(row.expected)).toBe(of('not-accepted'));
        // The sums of the shares are the amount.
        const own = record.shares.filter((each) => each.network === row.network && each.asset === TOKEN);
        expect(own.reduce((sum, { amount }) => sum + BigInt(amount), 0n)).toBe(accepted);
        expect(row.divergences.every(({ amount }) => amount !== '0')).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});

test('what is missing in a voucher, given to others, not vouched and not claimed is told apart', () => {
  const share = { network: 'a', worker: WORKERS[0], asset: TOKEN };
  const channel = channelOf('a', WORKERS[0]);
  const [row] = reconcile({
    shares: [
      { ...share, payee: US, amount: '90', receipts: 10 },
      { ...share, payee: OWNER, amount: '10', receipts: 0 },
    ],
    channels: [{ ...share, channel, payee: US, epoch: 3, cumulative: '70', expected: '75', paid: '50' }],
    waiting: [{ network: 'a', asset: TOKEN, amount: '9' }],
  });
  expect(row).toMatchObject({ expected: '9', accepted: '100', promised: '70', paid: '50' });
  expect(row?.divergences).toEqual([
    { kind: 'not-accepted', amount: '9', channel: null },
    { kind: 'not-vouched', amount: '15', channel },
    { kind: 'other-payees', amount: '10', channel: null },
    { kind: 'short', amount: '5', channel },
    { kind: 'not-claimed', amount: '20', channel },
  ]);
  expect(Divergence.array().parse(row?.divergences)).toHaveLength(5);
  // A voucher without any receipt on record: its promise is told, not hidden.
  const [strange] = reconcile({
    shares: [],
    channels: [{ ...share, channel, payee: US, epoch: 1, cumulative: '7', expected: '5', paid: '0' }],
    waiting: [],
  });
  expect(strange?.divergences.map(({ kind, amount }) => [kind, amount])).toEqual([
    ['over', '5'],
    ['over', '2'],
    ['not-claimed', '7'],
  ]);
});
