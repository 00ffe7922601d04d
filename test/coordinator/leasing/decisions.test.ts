import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCountdowns } from '../../../coordinator/countdown.ts';
import { type Demand, floorOf, type Machine, mainRefusal, priceToRun, refusalOf } from '../../../coordinator/leasing/demand.ts';
import { batchOf, costOf, expectedMs, lateAfterMs, leaseMsOf, type Pace } from '../../../coordinator/leasing/pace.ts';
import { chooseLots, type Lot } from '../../../coordinator/leasing/share.ts';
import { BackendName } from '../../../core/contract/backends.ts';
import { message, messageOf, ref } from '../../../core/contract/messages.ts';

const MONEY = { symbol: 'credits', decimals: 0 };
const ASSET = 'hearth:studio/credit:practice';

describe('shares', () => {
  const lots = fc
    .array(
      fc.record({
        requester: fc.integer({ min: 1, max: 4 }),
        demand: fc.integer({ min: 1, max: 3 }),
        lotServedMs: fc.integer({ min: 0, max: 50_000 }),
        queued: fc.integer({ min: 1, max: 6 }),
        affinity: fc.constantFrom(0 as const, 1 as const, 2 as const),
      }),
      { minLength: 1, maxLength: 12 },
    )
    .map((drawn) =>
      drawn.map((lot, index): Lot => {
        // Of one requester, and of one demand, everything says the same.
        const first = drawn.find((each) => each.demand === lot.demand) ?? lot;
        return { ...lot, lot: index + 1, requesterServedMs: lot.requester * 7000, costMs: lot.demand * 900, affinity: first.affinity };
      }),
    );
  const slack = fc.integer({ min: 0, max: 40_000 });

  test('nobody is served who is further ahead than the slack allows, and what goes out together asks the same', () => {
    fc.assert(
      fc.property(lots, fc.integer({ min: 1, max: 20 }), slack, (waiting, count, slackMs) => {
        const chosen = chooseLots(waiting, count, slackMs);
        expect(chosen.length).toBeGreaterThan(0);
        expect(chosen.length).toBeLessThanOrEqual(count);
        expect(new Set(chosen.map(({ demand }) => demand)).size).toBe(1);
        const left = waiting.map((lot) => ({ ...lot }));
        for (const each of chosen) {
          const least = Math.min(...left.filter(({ queued }) => queued > 0).map((lot) => lot.requesterServedMs));
          const picked = left.find(({ lot }) => lot === each.lot) as Lot;
          expect(picked.queued).toBeGreaterThan(0);
          expect(picked.requesterServedMs).toBeLessThanOrEqual(least + slackMs);
          picked.queued -= 1;
          picked.lotServedMs += picked.costMs;
          for (const lot of left) if (lot.requester === picked.requester) lot.requesterServedMs += picked.costMs;
        }
      }),
    );
  });

  test('without slack the least served requester is next, and of it the least served job, the oldest first', () => {
    fc.assert(
      fc.property(lots, (waiting) => {
        const [first] = chooseLots(waiting, 1, 0);
        const order = [...waiting].sort((a, b) => a.requesterServedMs - b.requesterServedMs || a.lotServedMs - b.lotServedMs);
        expect(first?.requesterServedMs).toBe(order[0]?.requesterServedMs);
        expect(first?.lotServedMs).toBe(order[0]?.lotServedMs);
      }),
    );
  });

  test('with slack enough a loaded model goes before one on the disk, and that before one that has to be fetched', () => {
    fc.assert(
      fc.property(lots, (waiting) => {
        const [first] = chooseLots(waiting, 1, 1e9);
        expect(first?.affinity).toBe(Math.max(...waiting.map(({ affinity }) => affinity)));
      }),
    );
  });

  test('however long it goes on, everybody who waits is served, and no further apart than slack and one shard', () => {
    fc.assert(
      fc.property(lots, slack, (drawn, slackMs) => {
        const served = new Map(drawn.map(({ requester }) => [requester, 0]));
        const waiting = drawn.map((lot) => ({ ...lot, requesterServedMs: 0, lotServedMs: 0, queued: 1e6 }));
        const dearest = Math.max(...waiting.map(({ costMs }) => costMs));
        for (let turn = 0; turn < 200; turn += 1) {
          const [pick] = chooseLots(waiting, 1, slackMs);
          if (pick === undefined) throw new Error('nobody');
          served.set(pick.requester, (served.get(pick.requester) ?? 0) + pick.costMs);
          for (const lot of waiting) {
            if (lot.lot === pick.lot) lot.lotServedMs += pick.costMs;
            if (lot.requester === pick.requester) lot.requesterServedMs += pick.costMs;
          }
          expect(Math.max(...served.values()) - Math.min(...served.values())).toBeLessThanOrEqual(slackMs + dearest);
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('demands', () => {
  const demand = fc.record({
    model: fc.constant('0'.repeat(64)),
    modelBytes: fc.option(fc.integer({ min: 0, max: 1e11 })),
    backends: fc.option(fc.uniqueArray(fc.constantFrom(...BackendName.options), { minLength: 1, maxLength: 3 })),
    category: fc.option(fc.constantFrom('images', 'text')),
    price: fc.record({
      asset: fc.constant(ASSET),
      unit: fc.constantFrom('run' as const, 'token' as const),
      perUnit: fc.nat(50).map(String),
    }),
  }) as fc.Arbitrary<Demand>;
  const machine: fc.Arbitrary<Machine> = fc.record({
    memoryBytes: fc.integer({ min: 0, max: 1e11 }),
    backends: fc.array(
      fc.record({
        name: fc.constantFrom(...BackendName.options),
        device: fc.constant('GPU'),
        memoryBytes: fc.integer({ min: 0, max: 1e11 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    floors: fc.array(
      fc.record({ asset: fc.constant(ASSET), unit: fc.constantFrom('run' as const, 'token' as const), perUnit: fc.nat(50).map(String) }),
      { maxLength: 3 },
    ),
    refusedCategories: fc.subarray(['images', 'text']),
  });

  test('work is for a machine exactly where nothing of what it asks is missing, and a refusal has words', () => {
    fc.assert(
      fc.property(demand, machine, (work, { backends = [], ...rest }) => {
        const refusal = refusalOf(work, { backends, ...rest }, MONEY);
        const able = backends.filter(({ name }) => work.backends?.includes(name) ?? true);
        const fits =
          (work.category === null || !rest.refusedCategories?.includes(work.category)) &&
          BigInt(work.price.perUnit) >= floorOf(work, rest) &&
          able.some(({ memoryBytes }) => memoryBytes >= (work.modelBytes ?? 0));
        expect(refusal === null).toBe(fits);
        if (refusal !== null) expect(messageOf(refusal)).not.toMatch(/[{}]/);
      }),
    );
  });

  test('at the price that a job is told it would run, and for one unit less it would not', () => {
    fc.assert(
      fc.property(demand, fc.array(machine, { maxLength: 5 }), (work, machines) => {
        const runsAt = (perUnit: bigint) =>
          machines.some((each) => refusalOf({ ...work, price: { ...work.price, perUnit: perUnit.toString() } }, each, MONEY) === null);
        const price = priceToRun(work, machines);
        if (price === null) expect(runsAt(BigInt(work.price.perUnit))).toBe(runsAt(1000n));
        else {
          expect(price).toBeGreaterThan(BigInt(work.price.perUnit));
          expect(runsAt(price)).toBe(true);
          expect(runsAt(price - 1n)).toBe(false);
        }
      }),
    );
  });

  test('of several reasons the one that keeps most work away is told', () => {
    const reason = (key: 'no-work.backend' | 'no-work.memory', needed: number) => ref(key, { backends: 'cuda', needed, room: 1 });
    expect(mainRefusal([])).toBeNull();
    expect(
      mainRefusal([
        { reason: reason('no-work.backend', 1), queued: 5 },
        { reason: reason('no-work.memory', 2), queued: 3 },
        { reason: reason('no-work.memory', 3), queued: 4 },
      ]),
    ).toEqual(reason('no-work.memory', 3));
  });

  test('a price is told in the network\u2019s own money', () => {
    const work: Demand = {
      model: '',
      modelBytes: null,
      backends: null,
      category: null,
      price: { asset: ASSET, unit: 'run', perUnit: '1500' },
    };
    const floors = [{ asset: ASSET, unit: 'run' as const, perUnit: '2000' }];
    const refusal = refusalOf(work, { memoryBytes: 1, floors }, { symbol: 'OPEN', decimals: 3 });
    expect(refusal).toEqual(ref('no-work.floor', { price: '1.5', floor: '2', symbol: 'OPEN', unit: 'run' }));
    expect(message('no-work.floor', refusal?.params)).toBe('The work that waits pays 1.5 OPEN for a run. You ask for 2 at least.');
  });
});

describe('paces', () => {
  const pace: fc.Arbitrary<Pace> = fc.record({
    samples: fc.integer({ min: 1, max: 100 }),
    shardMs: fc.double({ min: 0, max: 1e7, noNaN: true }),
    unitMs: fc.double({ min: 0, max: 1e5, noNaN: true }),
  });

  test('a batch is at least one lease, never more than is wanted, and no more than a second of work where it is more than one', () => {
    fc.assert(
      fc.property(pace, fc.integer({ min: 1, max: 64 }), (known, wanted) => {
        const batch = batchOf(known, wanted);
        expect(batch).toBeGreaterThanOrEqual(1);
        expect(batch).toBeLessThanOrEqual(wanted);
        if (batch > 1) expect(batch * Math.max(known.shardMs, 1)).toBeLessThanOrEqual(1000);
      }),
    );
    expect(batchOf(null, 64)).toBe(1);
  });

  test('a lease lasts between its bounds, and longer than its work where they allow', () => {
    const bounds = { leastMs: 30_000, mostMs: 300_000 };
    fc.assert(
      fc.property(fc.option(fc.double({ min: 1, max: 1e7, noNaN: true })), fc.boolean(), (expected, hasModel) => {
        const leaseMs = leaseMsOf(expected, hasModel, bounds);
        expect(leaseMs).toBeGreaterThanOrEqual(bounds.leastMs);
        expect(leaseMs).toBeLessThanOrEqual(bounds.mostMs);
        expect(Number.isInteger(leaseMs)).toBe(true);
        if (expected === null || !hasModel) expect(leaseMs).toBe(bounds.mostMs);
        else expect(leaseMs).toBeGreaterThanOrEqual(Math.min(expected, bounds.mostMs));
      }),
    );
  });

  test('nothing is late before three times what it should have taken', () => {
    fc.assert(
      fc.property(pace, fc.integer({ min: 1, max: 4096 }), (known, maxNewTokens) => {
        const shard = { kind: 'onnx.generate', price: { unit: 'token' }, maxNewTokens } as Parameters<typeof expectedMs>[0];
        const expected = expectedMs(shard, known) ?? 0;
        expect(expected).toBeGreaterThanOrEqual(1);
        expect(lateAfterMs(expected)).toBeGreaterThanOrEqual(3 * expected + 2000);
        expect(costOf(known)).toBeGreaterThanOrEqual(1);
      }),
    );
    expect(expectedMs({ kind: 'onnx.run' } as Parameters<typeof expectedMs>[0], null)).toBeNull();
    expect(costOf(null)).toBe(1000);
  });
});

test('countdowns are over exactly when their time has come, however many there are and whatever is renewed or stopped', () => {
  const act = fc.oneof(
    fc.record({
      type: fc.constant('start' as const),
      id: fc.nat(12),
      ms: fc.integer({ min: 1, max: 100 }),
      held: fc.integer({ min: 1, max: 300 }),
    }),
    fc.record({ type: fc.constantFrom('renew' as const, 'stop' as const), id: fc.nat(12) }),
    fc.record({ type: fc.constant('pass' as const), ms: fc.nat(60) }),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      let now = 0;
      const countdowns = createCountdowns(
        () => now,
        () => undefined,
      );
      const model = new Map<number, { ms: number; at: number; latest: number; over: boolean }>();
      const keyOf = (id: number) => ({ shardId: `s${id}`, attempt: 1 });
      for (const each of acts) {
        if (each.type === 'pass') now += each.ms;
        for (const running of model.values()) running.over ||= running.at <= now;
        if (each.type === 'start') {
          countdowns.start(keyOf(each.id), each.ms, each.held, `w${each.id % 3}`);
          model.set(each.id, { ms: each.ms, at: now + Math.min(each.ms, each.held), latest: now + each.held, over: false });
        } else if (each.type === 'stop') {
          countdowns.stop(keyOf(each.id));
          model.delete(each.id);
        } else if (each.type === 'renew') {
          countdowns.renew(keyOf(each.id));
          const running = model.get(each.id);
          if (running !== undefined && running.latest > now) {
            Object.assign(running, { at: Math.min(now + running.ms, running.latest), over: false });
          }
        }
        for (const running of model.values()) running.over ||= running.at <= now;
        const over = [...model].filter(([, running]) => running.over).map(([id]) => keyOf(id).shardId);
        expect(
          countdowns
            .over()
            .map(({ shardId }) => shardId)
            .sort(),
        ).toEqual(over.sort());
        for (const [id, running] of model) expect(countdowns.isOver(keyOf(id))).toBe(running.over);
        expect(countdowns.workers()).toBe(new Set([...model.keys()].map((id) => id % 3)).size);
      }
      countdowns.close();
    }),
  );
});
