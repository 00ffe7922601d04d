import { expect, test } from 'vitest';
import { ref } from '../../../core/contract/messages.ts';
import type { Decision } from '../../../core/contract/policy.ts';
import type { Shard } from '../../../core/contract/shard.ts';
import type { LedgerEvent } from '../../../core/ledger/event.ts';
import { heldFromLines } from '../../../core/policy-memory.ts';
import { createYielding, overall } from '../../../core/policy-work.ts';
import { Remaining } from '../../../core/work/remaining.ts';
import type { WorkFacts } from '../../../core/work/state.ts';

const [FIRST, SECOND] = ['0000:01:00.0', '0000:41:00.0'] as const;
const decided = (device: string, change: Partial<Decision> = {}): Decision => ({
  ...{ device, act: 'run', duty: 1, reason: ref('policy.allowed'), rules: [], overridden: [], until: null, graceMs: 0 },
  ...change,
});
const pause = (device: string, change: Partial<Decision> = {}) =>
  decided(device, { act: 'pause', duty: 0, reason: ref('policy.battery'), rules: ['battery'], ...change });

test('work stands aside where every device that earns does; the processor counts where no GPU computes', () => {
  expect(overall([pause(FIRST), decided(SECOND), pause('cpu')], [FIRST, SECOND])).toMatchObject({ device: SECOND, act: 'run' });
  expect(overall([pause(FIRST), pause(SECOND), decided('cpu')], [FIRST, SECOND])).toMatchObject({ device: FIRST, act: 'pause' });
  expect(overall([pause('cpu')], ['cpu']).act).toBe('pause');
});

/** What was done, in order, by a machine with two GPUs or none. */
function scene({ gpus = [] as { gpu: string; busy: boolean; aside: boolean }[] } = {}) {
  const done: string[] = [];
  const recorded: LedgerEvent[] = [];
  const facts = { current: null, decision: null, finishing: false } as unknown as WorkFacts;
  let now = 0;
  const remaining = new Remaining();
  const yielding = createYielding({
    loop: { pause: (options) => void done.push(options?.finish ? 'finish' : 'pause'), resume: () => void done.push('resume') },
    workers: {
      gpus: () => gpus,
      devices: () => (gpus.length > 0 ? gpus.map(({ gpu }) => gpu) : ['cpu']),
      running: () => true,
      usage: () => ({ residentBytes: 5e8, cpuMs: 1, pids: [] }),
      govern: async () => void done.push('govern'),
      stop: async () => void done.push('stop'),
    } as never,
    view: { facts, screen: { touch: () => undefined } as never },
    remaining,
    meter: { latest: () => null, tool: null },
    record: (events) => recorded.push(...events),
    clock: () => 1_000_000 + now,
    steady: () => now,
    trusted: () => true,
    warm: () => void done.push('warm'),
    onError: (thrown) => {
      throw thrown;
    },
  });
  return {
    done,
    recorded,
    facts,
    remaining,
    yielding,
    at(ms: number) {
      now = ms;
    },
  };
}

const shard = (kind: Shard['kind'], id = 's') => ({ id, kind, maxNewTokens: 100, model: { digest: 'm' } }) as Shard;

test('what was decided is done and recorded once, with how long it took and what came back', async () => {
  const { done, recorded, yielding, at } = scene();
  yielding.apply([decided('cpu')], 0);
  at(100);
  yielding.apply([pause('cpu')], 90);
  yielding.apply([pause('cpu', { reason: ref('policy.over', { rule: 'battery', name: '' }) })], 101);
  await yielding.settled();
  at(200);
  yielding.apply([decided('cpu')], 200);
  expect(done).toEqual(['govern', 'pause', 'stop', 'govern', 'warm', 'resume']);
  expect(recorded.map(({ kind }) => kind)).toEqual(['agent.paused', 'agent.yielded', 'agent.resumed']);
  expect(recorded[1]).toMatchObject({ yieldMs: 10, freed: { memory: { bytes: 5e8, leftBytes: 0, by: 'process' } } });
});

test('another reason to pause is recorded as such, and nothing is stopped twice', () => {
  const { done, recorded, yielding } = scene();
  yielding.apply([pause('cpu')], 0);
  yielding.apply([pause('cpu', { reason: ref('policy.metered') })], 1);
  expect(done).toEqual(['pause', 'stop']);
  expect(recorded.filter(({ kind }) => kind === 'agent.paused')).toHaveLength(2);
});

test('a shard ends first where it is known to end soon, and is cut off where that is not known, or too long', () => {
  const soon = { graceMs: 5000 };
  for (const { ran, left, finishes } of [
    { ran: null, left: 0, finishes: false },
    { ran: 3000, left: 2000, finishes: true },
    { ran: 60_000, left: 59_000, finishes: false },
  ]) {
    const { done, yielding, facts, remaining, at } = scene();
    if (ran !== null) {
      remaining.started(shard('onnx.run'), 0);
      remaining.computed('s', ran);
    }
    facts.current = { origin: 'own', network: 'local' };
    remaining.started(shard('onnx.run'), 100_000);
    at(100_000 + (ran ?? 0) - left);
    yielding.apply([pause('cpu', soon)], 0);
    expect(done[0]).toBe(finishes ? 'finish' : 'pause');
    expect(facts.finishing).toBe(finishes);
    yielding.close();
  }
});

test('a shard that may end first is still cut off by a reason that waits for nothing, and let go on when the reason is gone', () => {
  const { done, recorded, yielding, facts } = scene();
  facts.current = { origin: 'own', network: 'local' };
  yielding.apply([pause('cpu', { graceMs: null })], 0);
  yielding.apply([decided('cpu')], 1);
  expect(done).toEqual(['finish', 'govern', 'warm', 'resume']);
  expect(recorded).toEqual([]);
  yielding.apply([pause('cpu', { graceMs: null })], 2);
  yielding.apply([pause('cpu', { reason: ref('reason.suspended') })], 3);
  expect(done.slice(4)).toEqual(['finish', 'pause', 'stop']);
  expect(recorded[0]).toMatchObject({ kind: 'agent.paused', reason: { key: 'reason.suspended' } });
});

test('one GPU of several that is wanted is left alone, and the others go on', () => {
  const gpus = [
    { gpu: FIRST, busy: true, aside: false },
    { gpu: SECOND, busy: false, aside: false },
  ];
  const { done, recorded, yielding } = scene({ gpus });
  yielding.apply([decided(FIRST), decided(SECOND), decided('cpu')], 0);
  yielding.apply([pause(FIRST), decided(SECOND), decided('cpu')], 1);
  expect(done).toEqual(['govern', 'govern']);
  expect(recorded).toEqual([]);
});

test('how long a generation still takes is reckoned from its tokens, and nothing is from too few', () => {
  const remaining = new Remaining();
  remaining.started(shard('onnx.generate'), 0);
  for (let token = 0; token < 3; token += 1) remaining.token('s', 1000 + token * 10);
  expect(remaining.ms(1030)).toBeNull();
  remaining.token('s', 1030);
  expect(remaining.ms(1030)).toBe(960);
});

test('how long a run still takes is reckoned from those before, and unknown beyond the longest of them', () => {
  const remaining = new Remaining();
  expect(remaining.ms(0)).toBeNull();
  remaining.started(shard('onnx.run'), 0);
  expect(remaining.ms(10)).toBeNull();
  remaining.computed('s', 500);
  remaining.started(shard('onnx.run'), 1000);
  expect(remaining.ms(1200)).toBe(300);
  expect(remaining.ms(1501)).toBeNull();
});

test('of several at once the last to end counts, and all must be known', () => {
  const remaining = new Remaining();
  remaining.started(shard('onnx.run'), 0);
  remaining.computed('s', 500);
  remaining.started(shard('onnx.run', 'a'), 1000);
  remaining.started(shard('onnx.run', 'b'), 1100);
  expect(remaining.ms(1200)).toBe(400);
  remaining.started({ ...shard('onnx.run', 'c'), model: { digest: 'other', bytes: 1 } }, 1200);
  expect(remaining.ms(1200)).toBeNull();
  for (const id of ['b', 'c']) remaining.ended(id);
  expect(remaining.ms(1200)).toBe(300);
});

test('what our processes hold on each GPU is read from the tool, and unknown where it does not tell', () => {
  const lines = '00000000:01:00.0, 4711, 812\n00000000:01:00.0, 4712, 100\n00000000:41:00.0, 4711, 5\n00000000:41:00.0, 9, 9000\n';
  expect(heldFromLines(lines, new Set([4711, 4712]))).toEqual(
    new Map([
      [FIRST, 912 * 2 ** 20],
      [SECOND, 5 * 2 ** 20],
    ]),
  );
  expect(heldFromLines('', new Set([4711]))).toEqual(new Map());
  expect(heldFromLines('00000000:01:00.0, 4711, [N/A]\n', new Set([4711]))).toBeNull();
  expect(heldFromLines('00000000:01:00.0, 5, [N/A]\n', new Set([4711]))).toEqual(new Map());
});
