import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawsAudit, probabilityOf } from '../../coordinator/audit.ts';
import { auditResult } from '../../coordinator/auditing.ts';
import { practiceBackOffMs, remainingMs, sequelOf } from '../../coordinator/leasing.ts';
import { extendedLimits, localDay, practiceLeft } from '../../coordinator/quota.ts';
import { startThresholds } from '../../coordinator/trust/thresholds.ts';
import { checkResult } from '../../coordinator/verify.ts';
import { encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { GenerateShard, RunShard } from '../../core/contract/shard.ts';
import type { Tensors } from '../../core/contract/tensor.ts';
import { digestOf, float32, int64 } from './workbench.ts';

const base = {
  id: 's.1',
  jobId: 's',
  network: 'local',
  model: { digest: '0'.repeat(64), bytes: 1 },
  inputs: { digest: '1'.repeat(64), bytes: 1 },
  limits: { wallMs: 1000, memoryBytes: 1, outputBytes: 1000 },
  session: { intraOpThreads: 0, graphOptimization: 'all' as const },
  origin: 'practice' as const,
};
const asset = 'hearth:local/credit:practice';
const generation: GenerateShard = {
  ...base,
  kind: 'onnx.generate',
  price: { asset, unit: 'token', perUnit: '1' },
  decoder: { layers: 1, keyValueHeads: 1, headSize: 1, maxPositions: 10 },
  maxNewTokens: 5,
  stopTokens: [0],
  sampling: { method: 'greedy' },
};
const pass: RunShard = { ...base, kind: 'onnx.run', outputs: ['y', 'z'], price: { asset, unit: 'run', perUnit: '1' } };

function check(shard: GenerateShard | RunShard, tensors: Tensors, units: number, promptTokens = 2): string {
  const outputs = encodeSafetensors(tensors);
  const submission = { shardId: 's.1', attempt: 1, commitment: digestOf(outputs), outputBytes: outputs.byteLength, units, runMs: 1 };
  const checked = checkResult(shard, promptTokens, submission, outputs, digestOf(outputs));
  return checked.ok ? 'ok' : checked.detail;
}
const tokens = (...ids: number[]): Tensors => new Map([['tokens', int64(ids)]]);

describe('checking a result', () => {
  test('a generation ends at its stop token, its limit or the end of the positions, and nowhere else', () => {
    expect(check(generation, tokens(4, 5, 0), 3)).toBe('ok');
    expect(check(generation, tokens(0), 1)).toBe('ok');
    expect(check(generation, tokens(1, 2, 3, 4, 5), 5)).toBe('ok');
    expect(check(generation, tokens(1, 2), 2, 8)).toBe('ok');
    expect(check(generation, tokens(1, 2), 2)).toContain('without a stop token');
    expect(check(generation, tokens(1, 0, 2), 3)).toContain('goes on after the stop token at 1');
    expect(check(generation, tokens(1, 2, 3, 4, 5, 0), 6)).toContain('6 tokens where 5 are allowed');
    expect(check(generation, tokens(1, 2, 0), 3, 8)).toContain('3 tokens where 2 are allowed');
    expect(check(generation, tokens(), 0)).toContain('no tokens');
  });

  test('tokens are ids, in one list of int64, and are counted rightly', () => {
    expect(check(generation, tokens(-1, 0), 2)).toContain('id -1');
    expect(check(generation, tokens(2 ** 31, 0), 2)).toContain('id 2147483648');
    expect(check(generation, tokens(4, 0), 3)).toContain('counts 3 units where it has 2');
    expect(check(generation, new Map([['tokens', float32([1, 0])]]), 2)).toContain('not a list of int64');
    expect(check(generation, new Map([['tokens', int64([1, 0], [1, 2])]]), 2)).toContain('not a list of int64');
    expect(check(generation, new Map([['ids', int64([0])]]), 1)).toContain('not one tensor named tokens');
    expect(check(generation, new Map([...tokens(0), ['more', int64([0])]]), 1)).toContain('not one tensor named tokens');
  });

  test('a run gives the outputs that were asked for, within its limit, and is one unit', () => {
    const y = float32([1]);
    expect(
      check(
        pass,
        new Map([
          ['y', y],
          ['z', y],
        ]),
        1,
      ),
    ).toBe('ok');
    expect(
      check(
        pass,
        new Map([
          ['z', y],
          ['y', y],
        ]),
        1,
      ),
    ).toBe('ok');
    expect(check(pass, new Map([['y', y]]), 1)).toContain('output z is missing');
    expect(
      check(
        pass,
        new Map([
          ['y', y],
          ['z', y],
          ['w', y],
        ]),
        1,
      ),
    ).toContain('output w was not asked for');
    expect(
      check(
        pass,
        new Map([
          ['y', y],
          ['z', y],
        ]),
        2,
      ),
    ).toContain('counts 2 units');
    expect(check({ ...pass, outputs: [] }, new Map([['anything', y]]), 1)).toBe('ok');
    expect(check({ ...pass, outputs: [] }, new Map(), 1)).toContain('no outputs');
    const large = float32(Array.from({ length: 400 }, () => 1));
    expect(
      check(
        pass,
        new Map([
          ['y', large],
          ['z', y],
        ]),
        1,
      ),
    ).toContain('1000 are allowed');
  });

  test('bytes that are not what was committed to, or not safetensors, are refused', () => {
    const submission = { shardId: 's.1', attempt: 1, commitment: 'a'.repeat(64), outputBytes: 3, units: 1, runMs: 1 };
    const bytes = new Uint8Array(3);
    expect(checkResult(pass, 0, submission, bytes, 'b'.repeat(64))).toMatchObject({ ok: false, code: 'DIGEST_MISMATCH' });
    expect(checkResult(pass, 0, submission, bytes, 'a'.repeat(64))).toMatchObject({ ok: false, code: 'RESULT_MALFORMED' });
    expect(checkResult(pass, 0, { ...submission, outputBytes: 4 }, bytes, 'a'.repeat(64))).toMatchObject({ code: 'RESULT_MALFORMED' });
  });

  test('no bytes at all make it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const submission = { shardId: 's.1', attempt: 1, commitment: digestOf(bytes), outputBytes: bytes.byteLength, units: 1, runMs: 1 };
        expect(checkResult(generation, 1, submission, bytes, digestOf(bytes)).ok).toBe(false);
      }),
    );
  });
});

describe('drawing audits', () => {
  test('of practice at most one in twenty is audited, of the owner none, of strangers as many as their reputation says', () => {
    const stranger = { validInARow: 99 };
    expect(probabilityOf('practice', 1, stranger)).toBe(0.05);
    expect(probabilityOf('practice', 0.01, stranger)).toBe(0.01);
    expect(probabilityOf('own', 1, stranger)).toBe(0);
    expect(probabilityOf('network', 0, stranger)).toBe(0.1);
    expect([drawsAudit(0.05, 0.0499), drawsAudit(0.05, 0.05), drawsAudit(0, 0), drawsAudit(1, 0.999999)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });
});

describe('leases and their ends', () => {
  test('what is left of a lease is between nothing and all of it', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.maxSafeInteger(), fc.integer({ min: 1, max: 1e9 }), (deadline, now, leaseMs) => {
        const left = remainingMs(deadline, now, leaseMs);
        expect(left).toBeGreaterThanOrEqual(0);
        expect(left).toBeLessThanOrEqual(leaseMs);
      }),
    );
  });

  test('every shard comes to an end, however its attempts end', () => {
    const end = fc.constantFrom('paused', 'stopped', 'crashed', 'failed', 'expired');
    fc.assert(
      fc.property(fc.array(fc.tuple(end, fc.constantFrom('A', 'B', 'C', 'D', 'E')), { minLength: 1000, maxLength: 1000 }), (ends) => {
        const attempts = ends.map(([reason, code]) => ({
          shardId: 's',
          state: reason === 'failed' ? ('failed' as const) : ('released' as const),
          reason,
          failure: reason === 'failed' ? { code, params: {} } : null,
        }));
        expect(sequelOf(attempts, 'network').state).toBe('failed');
      }),
      { numRuns: 20 },
    );
    expect(sequelOf([], 'own')).toEqual({ state: 'queued' });
  });

  test("strangers' wrong results say nothing against a shard, however many there are; one's own machine's do", () => {
    const wrong = { shardId: 's', state: 'rejected', reason: 'failed', failure: { code: 'AUDIT_FAILED', params: {} } } as const;
    const failed = { shardId: 's', state: 'failed', reason: 'failed', failure: { code: 'RUN_FAILED', params: {} } } as const;
    const liars = Array.from({ length: 500 }, () => wrong);
    expect(sequelOf(liars, 'network')).toEqual({ state: 'queued' });
    expect(sequelOf([...liars, failed], 'network')).toEqual({ state: 'queued' });
    expect(sequelOf([...liars, failed, failed, failed], 'network')).toEqual({ state: 'failed', failure: failed.failure });
    expect(sequelOf([wrong, wrong, wrong], 'own')).toEqual({ state: 'failed', failure: wrong.failure });
  });

  test('practice rests after its third failure in a row, up to a minute', () => {
    expect([0, 2, 3, 4, 9, 2000].map(practiceBackOffMs)).toEqual([0, 0, 1000, 2000, 60_000, 60_000]);
  });
});

describe("a day's practice", () => {
  test('days are local, whole, and follow each other', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), (at) => {
        const day = localDay(at);
        expect(day.start <= at && at < day.end).toBe(true);
        expect(localDay(day.start)).toEqual(day);
        expect(localDay(day.end).start).toBe(day.end);
        expect(day.name).toMatch(/^\d{4}-\d\d-\d\d$/);
      }),
    );
  });

  test('an extension brings that many shards, and the time for them', () => {
    const amount = fc.nat({ max: 1000 });
    fc.assert(
      fc.property(amount, amount, amount, amount, fc.integer({ min: 1, max: 1000 }), (shards, minutes, accepted, runMinutes, more) => {
        const limits = { shards, ms: minutes * 60_000 };
        const spent = { accepted, runMs: runMinutes * 60_000 };
        const before = practiceLeft(limits, spent);
        const after = practiceLeft(extendedLimits(limits, spent, more, 60_000), spent);
        expect(after.shardsLeft).toBe(before.shardsLeft + more);
        expect(after.msLeft).toBe(before.msLeft + more * 60_000);
      }),
    );
  });
});

test('an audit that is over is held by nothing, although the end that would cut it short is the same for all of them', async () => {
  const { signal } = new AbortController();
  const claimed: Tensors = new Map([['y', float32([1])]]);
  const model = { manifest: { format: 'onnx' as const, entry: 'm.onnx', files: [] }, files: new Map<string, string>() };
  const thresholds = startThresholds({ claimed: 'cpu', reference: 'cpu' }, false);
  const inputs = encodeSafetensors(new Map());
  const task = { shard: pass, model, inputs, claimed, thresholds, own: thresholds, indices: [], onDispute: async () => undefined, signal };
  const audit = (compute: () => Promise<Uint8Array>) => auditResult({ compute }, task, 60_000, () => undefined);
  expect(await audit(async () => encodeSafetensors(claimed))).toMatchObject({ type: 'agrees', distance: 0 });
  expect(await audit(() => Promise.reject(new Error('no reference')))).toMatchObject({ type: 'unchecked', cutShort: false });
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
