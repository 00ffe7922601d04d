import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import type { ShardRecord, Store } from '../../../coordinator/store.ts';
import type { AuditRecord, CanarySource } from '../../../coordinator/trust/records.ts';
import type { AppealRecord } from '../../../core/contract/audits.ts';
import type { Shard } from '../../../core/contract/shard.ts';

const A = `0x${'a'.repeat(40)}`;
const B = `0x${'b'.repeat(40)}`;
const DIGEST = '0'.repeat(64);

let dir: string;
let store: Store;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hearthlend-trust-'));
  ({ store } = openSqliteStore(join(dir, 'coordinator.db'), 'studio'));
});
afterEach(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

async function reopen(): Promise<void> {
  await store.close();
  ({ store } = openSqliteStore(join(dir, 'coordinator.db'), 'studio'));
}

const audit = (number: number, changes: Partial<AuditRecord> = {}): AuditRecord => ({
  ...{ shardId: `s${number}`, attempt: 1, worker: A, at: number, outcome: 'valid', means: 'reference', distance: 1e-6, detail: '' },
  ...changes,
});

const shard = (id: string): Shard => ({
  id,
  jobId: `job-${id}`,
  network: 'studio',
  kind: 'onnx.run',
  outputs: [],
  model: { digest: DIGEST, bytes: 1 },
  inputs: { digest: DIGEST, bytes: 1 },
  limits: { wallMs: 1000, memoryBytes: 1, outputBytes: 10 },
  session: { intraOpThreads: 0, graphOptimization: 'all' },
  price: { asset: 'hearth:local/credit:practice', unit: 'run', perUnit: '1' },
  origin: 'network',
});

test('an audit counts once for an attempt, and the standing survives a restart', async () => {
  expect(store.standing(A)).toEqual({ validInARow: 0, offences: [], valid: 0, bad: 0, undecided: 0, suspendedUntil: null });
  await store.recordAudit(audit(1));
  expect(await store.recordAudit(audit(1, { outcome: 'bad' }))).toMatchObject({ validInARow: 1, bad: 0 });
  await store.recordAudit(audit(2, { outcome: 'undecided', detail: 'the reference took too long' }));
  await store.recordAudit(audit(3));
  await reopen();
  expect(store.standing(A)).toEqual({ validInARow: 2, offences: [], valid: 2, bad: 0, undecided: 1, suspendedUntil: null });
  expect(store.standing(B).valid).toBe(0);
  expect((await store.audits(A, 2)).map(({ shardId }) => shardId)).toEqual(['s3', 's2']);
});

test('a bad audit resets the trust, and a second within a week suspends until somebody lifts it or a day is over', async () => {
  await store.recordAudit(audit(1));
  expect(await store.recordAudit(audit(1000, { outcome: 'bad' }))).toMatchObject({ validInARow: 0, suspendedUntil: null });
  const after = await store.recordAudit(audit(2000, { outcome: 'bad' }));
  expect(after).toMatchObject({ bad: 2, offences: [1000, 2000], suspendedUntil: 2000 + 86_400_000 });
  await store.liftSuspension(A);
  expect(store.standing(A)).toMatchObject({ offences: [1000, 2000], suspendedUntil: null });
});

test("a worker's audits are kept up to a bound, all of them counted", async () => {
  for (let number = 0; number < 1010; number += 1) void store.recordAudit(audit(number));
  await store.recordAudit(audit(1, { worker: B, shardId: 'other' }));
  expect(await store.audits(A, 5000)).toHaveLength(1000);
  expect(store.standing(A)).toMatchObject({ valid: 1010, validInARow: 1010 });
  expect(await store.audits(B, 5000)).toHaveLength(1);
});

test('records for appeals are kept up to a bound, and those that go are named', async () => {
  const record = (shardId: string): AppealRecord => ({
    ...{ network: 'studio', worker: A, jobId: 'job-1', shardId, attempt: 1, at: 1, model: DIGEST, inputs: DIGEST },
    ...{ claimed: { outputs: DIGEST, backend: 'cpu' }, computed: [DIGEST, DIGEST], detail: 'y differs', bytesKept: true },
    tolerated: { distance: 1e-4, draw: 1e-4, logit: 1e-3 },
  });
  expect(await store.addAppeal(record('s1'), 2)).toEqual([]);
  expect(await store.addAppeal(record('s1'), 2)).toEqual([]);
  expect(await store.addAppeal(record('s2'), 2)).toEqual([]);
  expect(await store.addAppeal(record('s3'), 2)).toEqual([{ shardId: 's1', attempt: 1 }]);
  expect((await store.appeals(10)).map(({ shardId }) => shardId)).toEqual(['s3', 's2']);
});

test('a calibration replaces the one before it, for its model and backends alone', async () => {
  const calibration = { model: DIGEST, claimed: 'webgpu', reference: 'cpu', distance: 1e-5, draw: 1e-5, logit: 1e-4 } as const;
  const measured = { nearTies: 0.01, comparisons: 100, worst: 1e-6, at: 1 };
  await store.setCalibration({ ...calibration, ...measured });
  await store.setCalibration({ ...calibration, ...measured, distance: 2e-5 });
  await store.setCalibration({ ...calibration, ...measured, claimed: 'cpu' });
  expect((await store.calibrations(DIGEST)).map(({ claimed, distance }) => [claimed, distance]).toSorted()).toEqual([
    ['cpu', 1e-5],
    ['webgpu', 2e-5],
  ]);
  expect(await store.calibrations('1'.repeat(64))).toEqual([]);
});

test('a canary goes to nobody who computed its source or was given it, and its answer outlives the source', async () => {
  const source = (id: string): CanarySource => ({ shard: shard(id), promptTokens: 0, worker: A, outputs: id.repeat(32), addedAt: 1 });
  expect(await store.keepCanary(source('aa'), 2, null)).toEqual([]);
  expect(await store.canariesFor(A, 10)).toEqual([]);
  expect(await store.canariesFor(B, 10)).toEqual([source('aa')]);
  const copy: ShardRecord = { shard: { ...shard('cc'), id: 'cc.1' }, promptTokens: 0, state: 'queued', attempt: 0, createdAt: 5 };
  expect(await store.issueCanary(copy, 'aa', B)).toBe(true);
  expect(await store.canariesFor(B, 10)).toEqual([]);
  expect(await store.shard('cc.1')).toMatchObject({ shard: copy.shard, state: 'queued' });
  expect(await store.canaryAnswer('cc.1')).toEqual({ source: 'aa', outputs: 'aa'.repeat(32) });
  await store.keepCanary(source('bb'), 2, null);
  expect(await store.keepCanary(source('dd'), 2, null)).toEqual(['aa']);
  expect(await store.canaryAnswer('cc.1')).toEqual({ source: 'aa', outputs: 'aa'.repeat(32) });
  expect(await store.issueCanary({ ...copy, shard: shard('ee') }, 'aa', B)).toBe(false);
  expect(await store.canaryAnswer('aa')).toBeNull();
});
