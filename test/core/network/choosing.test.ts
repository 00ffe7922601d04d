import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageOf } from '../../../core/contract/messages.ts';
import type { Shard } from '../../../core/contract/shard.ts';
import { bestNet, byNetPay, type Candidate, netPerHour } from '../../../core/network/choosing.ts';
import { quotePerHour, shardPerHour } from '../../../core/network/pay.ts';
import { Rates } from '../../../core/network/rates.ts';

const COST = { currency: 'EUR', perHour: 0.1 };
const candidate = (network: string, change: Partial<Candidate> = {}): Candidate => ({
  ...{ network, kind: 'paid', asset: 'eip155:1/slip44:60', symbol: 'COIN', decimals: 2, perHour: null, worth: null },
  ...change,
});

const candidates = fc.array(
  fc.record({
    network: fc.string({ minLength: 1, maxLength: 4 }),
    kind: fc.constantFrom('own' as const, 'paid' as const, 'practice' as const),
    asset: fc.constantFrom('eip155:1/slip44:60', 'eip155:56/slip44:714', 'eip155:1612/slip44:60'),
    symbol: fc.constant('COIN'),
    decimals: fc.integer({ min: 0, max: 18 }),
    perHour: fc.option(fc.bigInt({ min: 0n, max: 10n ** 24n })),
    worth: fc.option(fc.double({ min: 0, max: 1000, noNaN: true })),
  }),
  { maxLength: 12 },
);
const cost = fc.record({ currency: fc.constant('EUR'), perHour: fc.option(fc.double({ min: -1, max: 10, noNaN: true })) });

describe('which network a lease is taken from', () => {
  it('asks every network once, own jobs first and practice last', () => {
    fc.assert(
      fc.property(candidates, cost, (given, each) => {
        const order = byNetPay(given, each);
        expect(order.map(({ network, kind }) => `${kind} ${network}`).sort()).toEqual(
          given.map(({ network, kind }) => `${kind} ${network}`).sort(),
        );
        const ranks = order.map(({ kind }) => ['own', 'paid', 'practice'].indexOf(kind));
        expect(ranks).toEqual([...ranks].sort());
      }),
    );
  });

  it('puts the best known net pay first and the unknown behind it, whatever electricity costs', () => {
    fc.assert(
      fc.property(candidates, cost, cost, (given, one, other) => {
        const paid = byNetPay(given, one).filter(({ kind }) => kind === 'paid');
        const nets = paid.map(({ netPerHour: net }) => net);
        const known = nets.filter((net) => net !== null);
        expect(known).toEqual([...known].sort((a, b) => b - a));
        expect(nets.slice(known.length).every((net) => net === null)).toBe(true);
        expect(byNetPay(given, other).map(({ network }) => network)).toEqual(byNetPay(given, one).map(({ network }) => network));
      }),
    );
  });

  it('comes out the same in whatever order networks are given, but for what is equal', () => {
    const given = [
      candidate('poor', { perHour: 10n, worth: 1 }),
      candidate('rich', { perHour: 100n, worth: 1 }),
      candidate('unknown'),
      candidate('less', { perHour: 500n, asset: 'eip155:56/slip44:714' }),
      candidate('more', { perHour: 900n, asset: 'eip155:56/slip44:714' }),
      candidate('local', { kind: 'practice' }),
      candidate('local', { kind: 'own' }),
    ];
    const wanted = ['local', 'rich', 'poor', 'more', 'less', 'unknown', 'local'];
    fc.assert(
      fc.property(fc.shuffledSubarray(given, { minLength: given.length }), (shuffled) => {
        expect(byNetPay(shuffled, COST).map(({ network }) => network)).toEqual(wanted);
      }),
    );
  });

  it('says why, in numbers where they are known', () => {
    const words = byNetPay(
      [
        candidate('a', { perHour: 250n, worth: 1 }),
        candidate('b', { perHour: 100n, worth: 1 }),
        candidate('c', { perHour: 5n }),
        candidate('d'),
      ],
      COST,
    ).map(({ reason }) => messageOf(reason));
    expect(words[0]).toBe('It brings about 2.4 EUR an hour after electricity, more than the others.');
    expect(words[2]).toBe("It pays about 0.05 COIN an hour. What that is worth, you haven't said.");
    expect(words[3]).toBe('It is not known yet what it brings an hour on this machine.');
  });

  it('knows no net pay where the worth of what is paid or the price of electricity is not known', () => {
    expect(netPerHour(250n, 2, 1, COST)).toBeCloseTo(2.4);
    expect(netPerHour(250n, 2, null, COST)).toBeNull();
    expect(netPerHour(250n, 2, 1, { currency: 'EUR', perHour: null })).toBeNull();
  });

  it('tells the rules the most that any offer leaves, a loss as well, and nothing where none is known', () => {
    const offer = (perHour: bigint | null, worth: number | null) => ({ perHour, decimals: 2, worth });
    expect(bestNet([offer(250n, 1), offer(900n, null), offer(null, 1), offer(300n, 0.5)], COST)).toBeCloseTo(2.4);
    expect(bestNet([offer(0n, 1)], COST)).toBeCloseTo(-0.1);
    expect(bestNet([offer(900n, null), offer(null, 1)], COST)).toBeNull();
    expect(bestNet([], COST)).toBeNull();
  });
});

describe('what an hour brings', () => {
  const shard = {
    id: 's',
    model: { digest: 'a'.repeat(64), bytes: 1 },
    price: { asset: 'x', unit: 'token', perUnit: '7' },
  } as unknown as Shard;

  it('is the price of the shard by what this machine did with its model before, and unknown for a model that it never ran', () => {
    const rates = new Rates();
    expect(shardPerHour(shard, rates)).toBeNull();
    rates.learn(shard.model.digest, 'token', 100, 1000);
    expect(shardPerHour(shard, rates)).toBe(7n * 360_000n);
    rates.learn(shard.model.digest, 'run', 1, 1);
    expect(shardPerHour(shard, rates)).toBe(7n * 360_000n);
  });

  it('follows what runs: tokens between its start and its result', () => {
    const rates = new Rates();
    const generated = { ...shard, kind: 'onnx.generate', maxNewTokens: 10 } as Shard;
    rates.started(generated, 0);
    for (let token = 0; token < 10; token += 1) rates.token('s');
    rates.computed('s', 1000);
    expect(rates.unitsPerHour(shard.model.digest, 'token')).toBe(36_000);
  });

  it('is a quoted price by the measured speed, exact in base units', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.integer({ min: 0, max: 10_000 }), (perToken, tokensPerSecond) => {
        expect(quotePerHour({ perToken: String(perToken) }, tokensPerSecond)).toBe(perToken * BigInt(tokensPerSecond * 3600));
      }),
    );
    expect(quotePerHour({ perToken: '1' }, null)).toBeNull();
  });
});
