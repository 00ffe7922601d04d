import { Wallet } from 'ethers';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { Ledger } from '../../../core/ledger/ledger.ts';
import { createWorkLoop } from '../../../core/work/loop.ts';
import type { AttemptKey } from '../../../core/work/ports.ts';
import type { FakeNetwork } from '../../fakes/network.ts';
import { type Bench, COMPUTED, manualCompute, OUTPUTS, openBench } from './workbench.ts';

const untilCalled = async (network: FakeNetwork, call: string) => {
  while (!network.calls.includes(call)) await new Promise((resolve) => setImmediate(resolve));
};

describe('the work loop', () => {
  it('records every accepted shard once, with the receipt that the network gave', async () => {
    const { network, ledger, loop } = await openBench(5);
    await loop.run({ shards: 5, practice: true });
    expect(ledger.acceptedCount()).toBe(5);
    expect(ledger.receiptsOf('test', 1, 5)).toEqual(network.receipts);
    expect(ledger.unfinished()).toEqual([]);
  });

  it('computes as many shards at once as there are workers, and gives each the next when it is done', async () => {
    const { compute, next } = manualCompute();
    const { ledger, loop, changes } = await openBench(5, compute, 2);
    const running = loop.run({ shards: 5, practice: true });
    const [first, second] = [await next(1), await next(2)];
    second.finish();
    const third = await next(3);
    first.finish();
    (await next(4)).finish();
    (await next(5)).finish();
    third.finish();
    await running;
    expect(ledger.acceptedCount()).toBe(5);
    expect(changes.filter(({ type }) => type === 'started')).toHaveLength(5);
    expect(
      changes
        .slice(
          0,
          changes.findIndex(({ type }) => type === 'computed'),
        )
        .filter(({ type }) => type === 'idle'),
    ).toEqual([]);
  });

  it('hands back everything that runs when it is paused, hands in everything when it is asked to stop', async () => {
    const { compute, next } = manualCompute();
    const { network, ledger, loop } = await openBench(10, compute, 3);
    const running = loop.run({ shards: null, practice: true });
    await next(3);
    loop.pause();
    for (const id of ['s1', 's2', 's3']) await untilCalled(network, `release ${id}`);
    loop.resume();
    const again = [await next(4), await next(5), await next(6)];
    loop.stop(false);
    for (const { finish } of again) finish();
    await running;
    expect(again.map(({ shardId }) => ledger.attempt('test', shardId, 1)?.state)).toEqual(['accepted', 'accepted', 'accepted']);
    expect(ledger.unfinished()).toEqual([]);
  });

  it('takes no more leases than the shards that are still wanted', async () => {
    const { network, loop } = await openBench(100);
    await loop.run({ shards: 7, practice: true });
    expect(network.leased).toHaveLength(7);
  });

  it("fetches the next shard's inputs while one runs", async () => {
    const { compute, next } = manualCompute();
    const { network, loop } = await openBench(2, compute);
    const running = loop.run({ shards: 2, practice: true });
    const first = await next(1);
    await untilCalled(network, 'lease s2');
    while (network.calls.filter((call) => call === 'fetch').length < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(network.submitted).toEqual([]);
    first.finish();
    (await next(2)).finish();
    await running;
  });

  it('hands in results of short shards together while more are on their way, and the last without waiting for others', async () => {
    // No time passes: whatever were to wait for it would wait for ever.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const { compute, next } = manualCompute();
    const { network, loop, journal } = await openBench(5, compute);
    const handedIn = vi.spyOn(journal, 'handingIn');
    const running = loop.run({ shards: 5, practice: true });
    for (const number of [1, 2]) (await next(number)).finish();
    await untilCalled(network, 'submit s2');
    for (const number of [3, 4]) (await next(number)).finish();
    const last = await next(5);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(network.submitted).toHaveLength(2);
    last.finish();
    await running;
    expect(handedIn.mock.lastCall?.[0].map(({ key }) => key.shardId)).toEqual(['s3', 's4', 's5']);
    expect(network.receipts).toHaveLength(5);
  });

  it('hands back what runs and what was fetched ahead when it is paused, and goes on when resumed', async () => {
    const { compute, next } = manualCompute();
    const { network, ledger, loop } = await openBench(3, compute);
    const running = loop.run({ shards: 1, practice: true });
    await next(1);
    await loop.pause();
    await untilCalled(network, 'release s1');
    expect(ledger.attempt('test', 's1', 1)).toMatchObject({ state: 'released' });
    loop.resume();
    (await next(2)).finish();
    await running;
    expect(network.released).toEqual([{ shardId: 's1', reason: 'paused', code: null }]);
    expect(ledger.acceptedCount()).toBe(1);
  });

  it('finishes and hands in the shard that runs when it is asked to stop, and returns the one fetched ahead', async () => {
    const { compute, next } = manualCompute();
    const { network, ledger, loop } = await openBench(10, compute);
    const running = loop.run({ shards: null, practice: true });
    const first = await next(1);
    await untilCalled(network, 'lease s2');
    loop.stop(false);
    first.finish();
    await running;
    expect(ledger.attempt('test', 's1', 1)?.state).toBe('accepted');
    expect(ledger.attempt('test', 's2', 1)?.state).toBe('released');
  });

  it.each(['pause', 'stop'] as const)('leases nothing ahead once it is told to %s, as soon as a shard has started', async (how) => {
    const { compute, next } = manualCompute();
    const { network, ports, changes } = await openBench(3, compute);
    const told = createWorkLoop({
      ...ports,
      onChange(change) {
        ports.onChange(change);
        if (change.type !== 'started') return;
        if (how === 'pause') told.pause({ finish: true });
        else told.stop(false);
      },
    });
    const running = told.run({ shards: null, practice: true });
    (await next(1)).finish();
    while (!changes.some(({ type }) => type === 'ended')) await new Promise((resolve) => setImmediate(resolve));
    told.stop(false);
    await running;
    expect(network.calls.filter((call) => call.startsWith('lease'))).toEqual(['lease s1']);
  });

  it('drops the shard that runs when it is told to stop now', async () => {
    const { compute, next } = manualCompute();
    const { ledger, loop } = await openBench(10, compute);
    const running = loop.run({ shards: null, practice: true });
    await next(1);
    loop.stop(true);
    await running;
    expect(ledger.attempt('test', 's1', 1)?.state).toBe('released');
    expect(ledger.unfinished()).toEqual([]);
  });

  it('hands the worker the next shard while it computes one, and records that it runs when the worker comes to it', async () => {
    const { compute, next } = manualCompute();
    const handed: string[] = [];
    const { network, ledger, journal, loop, changes, ports } = await openBench(3, compute);
    const { compute: atWorker } = ports;
    ports.compute = (task, hooks) => {
      handed.push(task.shard.id);
      return atWorker(task, hooks);
    };
    const running = loop.run({ shards: 3, practice: true });
    const first = await next(1);
    await untilCalled(network, 'lease s2');
    while (handed.length < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(journal.attemptState({ network: 'test', shardId: 's2', attempt: 1 })).toBe('fetched');
    expect(changes.filter(({ type }) => type === 'started')).toHaveLength(1);
    first.finish();
    await next(2).then(({ finish }) => finish());
    await next(3).then(({ finish }) => finish());
    await running;
    expect(ledger.acceptedCount()).toBe(3);
  });

  it.each(['pause', 'stop'] as const)(
    'hands back what waits at the worker when it is told to %s once the running shard is done',
    async (how) => {
      const { compute, next } = manualCompute();
      const { network, ledger, loop, ports } = await openBench(10, compute);
      const handed = Promise.withResolvers<void>();
      const { compute: atWorker } = ports;
      ports.compute = (task, hooks) => {
        if (task.shard.id === 's2') handed.resolve();
        return atWorker(task, hooks);
      };
      const running = loop.run({ shards: null, practice: true });
      const first = await next(1);
      await handed.promise;
      if (how === 'pause') loop.pause({ finish: true });
      else loop.stop(false);
      await untilCalled(network, 'release s2');
      expect(ledger.attempt('test', 's1', 1)?.state).toBe('running');
      first.finish();
      loop.stop(false);
      await running;
      expect(network.released.map(({ shardId, reason }) => [shardId, reason])).toContainEqual([
        's2',
        how === 'pause' ? 'paused' : 'stopped',
      ]);
      expect(ledger.attempt('test', 's1', 1)?.state).toBe('accepted');
      expect(ledger.unfinished()).toEqual([]);
    },
  );

  it('drops a shard whose lease the network gave to another', async () => {
    const { compute, next } = manualCompute();
    const { network, ledger, loop } = await openBench(1, compute);
    network.held = false;
    const running = loop.run({ shards: null, practice: true });
    await next(1);
    while ([undefined, 'running'].includes(ledger.attempt('test', 's1', 1)?.state)) await new Promise((resolve) => setImmediate(resolve));
    expect(ledger.attempt('test', 's1', 1)?.state).toBe('expired');
    loop.stop(false);
    await running;
  });

  it('reports a shard that fails with its code, and goes on with the next', async () => {
    let first = true;
    const { network, ledger, loop } = await openBench(2, async () => {
      if (!first) return COMPUTED;
      first = false;
      throw new HearthlendError('RUN_FAILED', { detail: 'a shape does not fit' });
    });
    await loop.run({ shards: 1, practice: true });
    expect(network.released).toEqual([{ shardId: 's1', reason: 'failed', code: 'RUN_FAILED' }]);
    expect(ledger.attempt('test', 's1', 1)).toMatchObject({ state: 'failed', code: 'RUN_FAILED' });
    expect(ledger.acceptedCount()).toBe(1);
  });
});

describe('a network that is not honest', () => {
  const lies: [string, FakeNetwork['tamper']][] = [
    ['names another amount', (receipt) => ({ ...receipt, amount: '2' })],
    ['names another payee', (receipt) => ({ ...receipt, payee: Wallet.createRandom().address })],
    ['names other outputs', (receipt) => ({ ...receipt, outputCommitment: 'b'.repeat(64) })],
    ['leaves out a receipt in between', (receipt) => ({ ...receipt, sequence: receipt.sequence + 1 })],
    ['breaks the chain', (receipt) => ({ ...receipt, previousHash: `0x${'1'.repeat(64)}` })],
    ['gives the receipt of another shard', (receipt) => ({ ...receipt, shardId: 's999' })],
  ];
  it.each(lies)('is given no more work when its receipt %s, and nothing is recorded of it', async (_lie, tamper) => {
    const { network, ledger, loop, changes } = await openBench(10);
    network.tamper = tamper;
    await expect(loop.run({ shards: 10, practice: true })).rejects.toMatchObject({ code: 'RECEIPT_INVALID' });
    expect(ledger.acceptedCount()).toBe(0);
    expect(ledger.receiptHead('test').sequence).toBe(0);
    expect(changes).toContainEqual(expect.objectContaining({ type: 'fault', network: 'test' }));
    // The work stays on record as done and not answered, to be claimed with the right receipt.
    expect(ledger.attempt('test', 's1', 1)?.state).toBe('submitted');
  });

  it('gets no signature under a batch that somebody else signed', async () => {
    const { network, loop } = await openBench(3);
    await loop.run({ shards: 3, practice: true });
    network.propose(1, Wallet.createRandom());
    await expect(loop.run({ shards: 1, practice: true })).rejects.toMatchObject({ code: 'BATCH_INVALID' });
    expect(network.countersigned).toEqual([]);
  });

  it('gets no signature under a batch over receipts that differ from those recorded here', async () => {
    const { network, loop } = await openBench(3);
    await loop.run({ shards: 3, practice: true });
    network.receipts[2] = { ...(network.receipts[2] as (typeof network.receipts)[number]), units: 9 };
    network.propose(1);
    await expect(loop.run({ shards: 1, practice: true })).rejects.toMatchObject({ code: 'BATCH_INVALID' });
    expect(network.countersigned).toEqual([]);
  });
});

describe('a full disk', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  const steps = ['leased', 'fetched', 'running', 'handingIn', 'durable', 'accepted'] as const;
  it.each(steps)('that keeps "%s" from being recorded is waited out: nothing is lost, nothing counted twice', async (step) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { network, ledger, ports, changes } = await openBench(20);
    let calls = 0;
    const original = ports.journal[step] as (...args: unknown[]) => unknown;
    // Full from the second time on, for three tries.
    const full = (...args: unknown[]) => {
      calls += 1;
      if (calls >= 2 && calls < 5) throw new HearthlendError('DISK_FULL', { path: 'ledger.db' });
      return original(...args);
    };
    const loop = createWorkLoop({ ...ports, journal: { ...ports.journal, [step]: full } });
    let over = false;
    const running = loop.run({ shards: 4, practice: true }).finally(() => {
      over = true;
    });
    while (!over) {
      await vi.advanceTimersByTimeAsync(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await running;
    const faults = changes.filter((change) => change.type === 'fault').map(({ reason }) => reason?.key ?? null);
    expect(faults[0]).toBe('reason.disk-full');
    expect(faults.at(-1)).toBe(null);
    expect(ledger.unfinished()).toEqual([]);
    expect(ledger.receiptsOf('test', 1, 1000)).toEqual(network.receipts);
    expect(ledger.acceptedCount()).toBeGreaterThanOrEqual(4);
    expect((await ledger.verify()).problems).toEqual([]);
  });

  // What a step records may be written later, together with others': there is no room at whichever of the ledger's own writes.
  it.each((['record', 'recordSoon'] as const).flatMap((how) => [1, 2, 3, 4, 5, 6, 7].map((nth) => [how, nth] as const)))(
    'that the ledger meets at its %s number %i is waited out: nothing is lost, nothing counted twice',
    async (how, nth) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
      const { network, ledger, loop } = await openBench(20);
      let calls = 0;
      const full = vi.spyOn(ledger, how).mockImplementation(function (this: typeof ledger, events) {
        calls += 1;
        if (calls >= nth && calls < nth + 3) throw new HearthlendError('DISK_FULL', { path: 'ledger.db' });
        Ledger.prototype[how].call(ledger, events);
      });
      let over = false;
      const running = loop.run({ shards: 4, practice: true }).finally(() => {
        over = true;
      });
      while (!over) {
        await vi.advanceTimersByTimeAsync(1000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await running;
      full.mockRestore();
      expect(ledger.unfinished()).toEqual([]);
      expect(ledger.receiptsOf('test', 1, 1000)).toEqual(network.receipts);
      expect(ledger.acceptedCount()).toBeGreaterThanOrEqual(4);
      expect((await ledger.verify()).problems).toEqual([]);
    },
  );
});

describe('a start after a crash', () => {
  const key: AttemptKey = { network: 'test', shardId: 's1', attempt: 1 };
  const facts = { commitment: COMPUTED.commitment, outputBytes: OUTPUTS.byteLength, units: 1, runMs: 1 };

  async function leaseOne({ network, journal }: Bench): Promise<void> {
    const reply = await network.lease();
    if (reply.type === 'lease') journal.leased(reply.lease);
  }

  it('hands back what was only begun', async () => {
    const bench = await openBench(1);
    await leaseOne(bench);
    bench.journal.fetched(key);
    bench.journal.running(key);
    bench.network.shardsLeft = 1;
    await bench.loop.run({ shards: 1, practice: true });
    expect(bench.ledger.attempt('test', 's1', 1)).toMatchObject({ state: 'released' });
    expect(bench.network.released[0]).toMatchObject({ shardId: 's1' });
  });

  async function computeOne(bench: Bench): Promise<void> {
    await leaseOne(bench);
    bench.journal.fetched(key);
    bench.journal.running(key);
    await bench.spool.put(COMPUTED.commitment, OUTPUTS);
    const { commitment: outputs, ...rest } = facts;
    bench.ledger.record([{ kind: 'shard.computed', at: Date.now(), ...key, outputs, ...rest }]);
  }

  it('sends again what was computed and not answered', async () => {
    const bench = await openBench(1);
    await computeOne(bench);
    bench.journal.submitted(key);
    bench.network.shardsLeft = 1;
    await bench.loop.run({ shards: 1, practice: true });
    expect(bench.ledger.attempt('test', 's1', 1)?.state).toBe('accepted');
    expect(bench.network.submitted.map(({ shardId }) => shardId)).toEqual(['s1', 's2']);
  });

  it('takes up a receipt that was given but not recorded, without sending the work again', async () => {
    const bench = await openBench(1);
    await computeOne(bench);
    bench.network.issue({ shardId: 's1', attempt: 1, commitment: facts.commitment, units: 1 });
    bench.network.shardsLeft = 1;
    await bench.loop.run({ shards: 1, practice: true });
    expect(bench.ledger.acceptedCount()).toBe(2);
    expect(bench.network.submitted.map(({ shardId }) => shardId)).toEqual(['s2']);
  });

  it('fails a result whose bytes are gone from the spool, by its code', async () => {
    const bench = await openBench(1);
    await computeOne(bench);
    await bench.spool.remove(COMPUTED.commitment);
    bench.network.shardsLeft = 1;
    await bench.loop.run({ shards: 1, practice: true });
    expect(bench.ledger.attempt('test', 's1', 1)).toMatchObject({ state: 'failed', code: 'SPOOL_LOST' });
  });

  it('sends a batch signature again that the network may not have got', async () => {
    const bench = await openBench(2);
    await bench.loop.run({ shards: 2, practice: true });
    const { batch, coordinatorSignature } = bench.network.propose(1);
    bench.journal.batchSigned({ batch, coordinatorSignature, workerSignature: bench.ports.signBatch(batch) }, bench.from.info.coordinator);
    bench.network.shardsLeft = 1;
    await bench.loop.run({ shards: 1, practice: true });
    expect(bench.network.countersigned).toEqual([2]);
    expect((await bench.ledger.verify()).ok).toBe(true);
  });
});
