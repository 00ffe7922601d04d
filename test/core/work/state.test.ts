import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { messageOf, ref } from '../../../core/contract/messages.ts';
import type { Decision } from '../../../core/contract/policy.ts';
import { endOf } from '../../../core/work/give-back.ts';
import { describeState, type WorkFacts } from '../../../core/work/state.ts';

const IDLE: WorkFacts = {
  started: true,
  stopping: false,
  fault: null,
  decision: null,
  finishing: false,
  backingOff: null,
  current: null,
  noWork: null,
  now: 1_000_000,
};

const decided = (change: Partial<Decision>): Decision => ({
  ...{ device: 'cpu', act: 'run', duty: 1, reason: ref('policy.allowed'), rules: [], overridden: [], until: null, graceMs: 0 },
  ...change,
});
const paused = (until: number | null) => decided({ act: 'pause', duty: 0, reason: ref('reason.paused-until'), until });

describe('the one state of the agent', () => {
  it('says that it works only while something is computed', () => {
    for (const origin of ['practice', 'own', 'network'] as const) {
      expect(describeState({ ...IDLE, current: { origin, network: 'local' } }).name).toBe('working');
    }
    expect(describeState(IDLE).name).not.toBe('working');
  });

  it('lets a pause win over work, and a fault over a pause', () => {
    const facts = { ...IDLE, current: { origin: 'practice', network: 'local' } as const, decision: paused(null) };
    expect(describeState(facts).name).toBe('paused');
    expect(describeState({ ...facts, fault: ref('reason.ledger-broken') }).name).toBe('failed');
    expect(describeState({ ...facts, finishing: true })).toMatchObject({ name: 'working', reason: ref('policy.finishing') });
  });

  it('says while it works what holds it back, and what it works in spite of', () => {
    const current = { origin: 'practice', network: 'local' } as const;
    const reason = ref('policy.duty', { percent: 50 });
    expect(describeState({ ...IDLE, current, decision: decided({}) }).reason.key).toBe('reason.practising');
    expect(describeState({ ...IDLE, current, decision: decided({ act: 'throttle', duty: 0.5, reason }) }).reason).toEqual(reason);
    const started = ref('policy.started', { rule: 'idle', more: 0, until: 9 });
    const overriding = decided({ reason: started, overridden: ['idle'], until: 9 });
    expect(describeState({ ...IDLE, current, decision: overriding })).toMatchObject({ name: 'working', reason: started, until: 9 });
    expect(describeState({ ...IDLE, decision: overriding }).name).not.toBe('working');
  });

  it('waits where the disk is full, since that passes', () => {
    expect(describeState({ ...IDLE, fault: ref('reason.disk-full') }).name).toBe('waiting');
  });

  it('says when a pause or a back-off ends by itself', () => {
    expect(describeState({ ...IDLE, decision: paused(5) })).toMatchObject({ name: 'paused', until: 5 });
    expect(describeState({ ...IDLE, backingOff: { until: 1_004_200, failures: 3 } })).toMatchObject({
      name: 'waiting',
      until: 1_004_200,
      reason: ref('reason.worker-backing-off', { count: 3, seconds: 5 }),
    });
  });

  it('is proven when practice is over, and waits for any other lack of work', () => {
    expect(describeState({ ...IDLE, noWork: ref('no-work.practice-over') }).name).toBe('proven');
    expect(describeState({ ...IDLE, noWork: ref('no-work.queue-empty') })).toMatchObject({
      name: 'waiting',
      reason: ref('reason.no-work'),
    });
    const missing = ref('no-work.backend', { backends: 'cuda' });
    expect(describeState({ ...IDLE, noWork: missing })).toMatchObject({ name: 'waiting', reason: missing });
  });

  it('has words for every state that facts can lead to', () => {
    const flag = fc.boolean();
    const facts = fc.record({
      started: flag,
      stopping: flag,
      fault: fc.constantFrom(null, ref('reason.disk-full'), ref('reason.receipt-invalid', { network: 'x' })),
      decision: fc.constantFrom(null, paused(null), paused(9), decided({})),
      finishing: flag,
      backingOff: fc.constantFrom(null, { until: 2_000_000, failures: 4 }),
      current: fc.constantFrom(null, { origin: 'own', network: 'local' } as const, { origin: 'network', network: 'n' } as const),
      noWork: fc.constantFrom(null, ref('no-work.practice-over'), ref('no-work.lease-held')),
      now: fc.constant(1_000_000),
    });
    fc.assert(fc.property(facts, (each) => messageOf(describeState(each).reason).length > 0));
  });
});

describe('an attempt without a result', () => {
  it('is handed back where this machine was the cause, and failed where the shard was', () => {
    const error = new HearthlendError('RUN_FAILED', { detail: 'x' });
    expect(endOf(error, 'practice', 'paused')).toEqual({ state: 'released', code: 'paused' });
    expect(endOf(new HearthlendError('WORKER_STOPPED'), 'network')).toEqual({ state: 'released', code: 'paused' });
    expect(endOf(error, 'practice', 'stopped')).toEqual({ state: 'released', code: 'stopped' });
    expect(endOf(error, 'practice', 'revoked')).toEqual({ state: 'cancelled' });
    expect(endOf(error, 'practice', 'expired')).toEqual({ state: 'expired' });
    const failed = endOf(error, 'own');
    expect(failed).toMatchObject({ state: 'failed', code: 'RUN_FAILED', detail: expect.stringMatching(/./) });
    expect(endOf(error, 'network')).toEqual({ ...failed, detail: '' });
    expect(endOf(new HearthlendError('WORKER_BACKING_OFF', { count: 2, seconds: 1 }), 'own')).toEqual({
      state: 'released',
      code: 'crashed',
    });
  });
});
