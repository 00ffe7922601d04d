import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CPU } from '../../../core/contract/backends.ts';
import { sessionKey, sessionsToUnload, type WarmSession } from '../../../core/supervisor/warm-models.ts';

const session = { intraOpThreads: 1, graphOptimization: 'all' as const };
const warmth = fc
  .array(fc.nat({ max: 100 }), { maxLength: 12 })
  .map((sizes) => sizes.map((bytes, index): WarmSession => ({ key: String(index), digest: String(index), session, provider: CPU, bytes })));
const total = (sessions: readonly WarmSession[]) => sessions.reduce((sum, each) => sum + each.bytes, 0);

test('after unloading, what stays and what comes are within the bound, or nothing stays', () => {
  fc.assert(
    fc.property(warmth, fc.nat({ max: 200 }), fc.nat({ max: 400 }), (warm, needed, limit) => {
      const kept = warm.slice(sessionsToUnload(warm, needed, limit).length);
      expect(kept.length === 0 || total(kept) + needed <= limit).toBe(true);
    }),
  );
});

test('the least recently used go first, and none that need not', () => {
  fc.assert(
    fc.property(warmth, fc.nat({ max: 200 }), fc.nat({ max: 400 }), (warm, needed, limit) => {
      const unload = sessionsToUnload(warm, needed, limit);
      expect(unload).toEqual(warm.slice(0, unload.length));
      if (unload.length > 0) expect(total(warm.slice(unload.length - 1)) + needed).toBeGreaterThan(limit);
    }),
  );
});

test('a model under other session options or on another provider is another session', () => {
  expect(sessionKey('a', session, CPU)).not.toBe(sessionKey('a', { ...session, intraOpThreads: 2 }, CPU));
  expect(sessionKey('a', session, CPU)).not.toBe(sessionKey('a', { ...session, graphOptimization: 'basic' }, CPU));
  expect(sessionKey('a', session, CPU)).not.toBe(sessionKey('a', session, { name: 'cuda', deviceId: 0 }));
  expect(sessionKey('a', session, { name: 'cuda', deviceId: 0 })).not.toBe(sessionKey('a', session, { name: 'cuda', deviceId: 1 }));
});
