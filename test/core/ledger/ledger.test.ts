import Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { ShardState } from '../../../core/contract/shard-state.ts';
import { connectWriter } from '../../../core/ledger/connect.ts';
import type { LedgerEvent } from '../../../core/ledger/event.ts';
import { readHead } from '../../../core/ledger/head.ts';
import { Ledger } from '../../../core/ledger/ledger.ts';
import {
  ASSET,
  accepted,
  batched,
  COORDINATOR,
  computed,
  coSigned,
  DAY_MS,
  digestOf,
  leased,
  NETWORK,
  openScene,
  receiptFor,
  started,
  step,
  submittedShard,
  WORKER,
  workThrough,
} from './scene.ts';

const opened: { ledger: Ledger }[] = [];
afterEach(() => {
  for (const { ledger } of opened.splice(0)) ledger.close();
});

function scene() {
  const fresh = openScene();
  opened.push(fresh);
  return fresh;
}

function entryCount(path: string): number {
  const db = new Database(path, { readonly: true });
  const count = db.prepare<[], number>('SELECT count(*) FROM entries').pluck().get() ?? 0;
  db.close();
  return count;
}

test('a shard that is worked through and accepted is one task, one receipt and its amount', async () => {
  const { ledger } = scene();
  ledger.record([started(DAY_MS - 1000)]);
  workThrough(ledger, 1, 1);
  expect(ledger.attempt(NETWORK, 's1', 1)).toMatchObject({
    state: 'accepted',
    units: 10,
    amount: '30',
    receiptSequence: 1,
    leasedAt: DAY_MS,
    runningAt: DAY_MS + 2000,
    computedAt: DAY_MS + 3000,
    submittedAt: DAY_MS + 4000,
    at: DAY_MS + 5000,
  });
  expect(ledger.recent(10)).toEqual([
    {
      shardId: 's1',
      attempt: 1,
      network: NETWORK,
      origin: 'practice',
      kind: 'onnx.generate',
      state: 'accepted',
      reason: null,
      audited: false,
      asset: ASSET,
      amount: '30',
      units: 10,
      runMs: 12.5,
      at: DAY_MS + 5000,
    },
  ]);
  expect(ledger.acceptedCount()).toBe(1);
  expect(ledger.unfinished()).toEqual([]);
  expect(await ledger.verify()).toMatchObject({ ok: true, entries: 8, receipts: 1, batches: 0, problems: [] });
});

test('everything is there again after closing and opening', async () => {
  const { ledger, reopen } = openScene();
  workThrough(ledger, 1, 3);
  ledger.record([batched(ledger, 1, 3, DAY_MS + 60_000)]);
  const head = ledger.receiptHead(NETWORK);
  ledger.close();
  const again = reopen();
  opened.push({ ledger: again });
  expect(again.receiptHead(NETWORK)).toEqual(head);
  expect(again.lastBatched(NETWORK)).toBe(3);
  workThrough(again, 4, 4, DAY_MS + 90_000);
  expect(again.receiptsOf(NETWORK, 1, 100).map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
  expect((await again.verify()).problems).toEqual([]);
});

test('the end is signed at closing, though somebody reads the file and what came last was not waited for', async () => {
  const { ledger, path, reopen } = openScene();
  ledger.record([leased(1, DAY_MS)]);
  const reader = new Database(path, { readonly: true });
  const reading = reader.prepare('SELECT sequence FROM entries').iterate();
  reading.next();
  ledger.recordSoon([step('shard.fetched', 1, DAY_MS + 1)]);
  ledger.close();
  reading.return?.();
  reader.close();
  expect(readHead(path)).toMatchObject({ sequence: 2 });
  expect(await reopen().verify()).toMatchObject({ ok: true, entries: 2 });
});

test('a transition that may not follow throws, and nothing of its transaction is written', async () => {
  const { ledger, path } = scene();
  ledger.record([leased(1, DAY_MS)]);
  const before = entryCount(path);
  expect(() => ledger.record([leased(2, DAY_MS), step('shard.submitted', 1, DAY_MS)])).toThrow(
    expect.objectContaining({ code: 'TRANSITION_ILLEGAL', params: { shard: 's1', from: 'leased', to: 'submitted' } }),
  );
  expect(() => ledger.record([step('shard.fetched', 9, DAY_MS)])).toThrow(expect.objectContaining({ code: 'TRANSITION_ILLEGAL' }));
  expect(() => ledger.record([leased(1, DAY_MS)])).toThrow(expect.objectContaining({ code: 'TRANSITION_ILLEGAL' }));
  expect(entryCount(path)).toBe(before);
  expect(ledger.attempt(NETWORK, 's2', 1)).toBeNull();
  ledger.record([step('shard.fetched', 1, DAY_MS)]);
  expect((await ledger.verify()).problems).toEqual([]);
});

test('whatever order events come in, only those of the state machine are recorded, and the ledger stays whole', async () => {
  const eventsOf = (number: number): LedgerEvent[] => [
    leased(number, DAY_MS),
    step('shard.fetched', number, DAY_MS),
    step('shard.running', number, DAY_MS),
    computed(number, DAY_MS),
    step('shard.submitted', number, DAY_MS),
    step('shard.disputed', number, DAY_MS),
    step('shard.cancelled', number, DAY_MS),
    step('shard.expired', number, DAY_MS),
    { kind: 'shard.failed', at: DAY_MS, network: NETWORK, shardId: `s${number}`, attempt: 1, code: 'RUN_FAILED', detail: 'x' },
    { kind: 'shard.rejected', at: DAY_MS, network: NETWORK, shardId: `s${number}`, attempt: 1, code: 'RESULT_MALFORMED', detail: '' },
    { kind: 'shard.released', at: DAY_MS, network: NETWORK, shardId: `s${number}`, attempt: 1, reason: 'paused' },
  ];
  const choice = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 11 })));
  await fc.assert(
    fc.asyncProperty(fc.array(choice, { maxLength: 60 }), async (choices) => {
      const { ledger } = openScene();
      try {
        for (const [number, kind] of choices) {
          const before = ledger.attempt(NETWORK, `s${number}`, 1);
          const event = kind < 11 ? eventsOf(number)[kind] : before && accepted(receiptFor(ledger, number), DAY_MS);
          if (event === undefined || event === null) continue;
          try {
            ledger.record([event]);
            expect(ledger.attempt(NETWORK, `s${number}`, 1)?.state).toBe(event.kind.slice('shard.'.length));
          } catch (thrown) {
            expect(thrown).toMatchObject({ code: expect.stringMatching(/^(TRANSITION_ILLEGAL|RECEIPT_INVALID)$/) });
            expect(ledger.attempt(NETWORK, `s${number}`, 1)).toEqual(before);
          }
        }
        expect((await ledger.verify()).problems).toEqual([]);
        for (const { state } of ledger.recent(10)) expect(ShardState.parse(state)).toBe(state);
      } finally {
        ledger.close();
      }
    }),
    { numRuns: 40 },
  );
});

test.each([
  ['jobId', 'another'],
  ['worker', COORDINATOR.address],
  ['payee', COORDINATOR.address],
  ['modelHash', digestOf(8)],
  ['inputHash', digestOf(8)],
  ['outputCommitment', digestOf(8)],
  ['units', 9],
  ['unitPrice', '2'],
  ['amount', '31'],
  ['asset', 'hearth:other/credit:practice'],
  ['sequence', 3],
  ['sequence', 1],
  ['previousHash', `0x${'0'.repeat(64)}`],
  ['attempt', 2],
  ['network', 'other'],
  ['shardId', 's77'],
  [
    'furtherPayees',
    [
      { payee: COORDINATOR.address, shareBasisPoints: 9_999 },
      { payee: WORKER.address, shareBasisPoints: 2 },
    ],
  ],
  ['amount', 'lots'],
])('a receipt whose %s is %j is refused, and nothing is written', (field, value) => {
  const { ledger, path } = scene();
  workThrough(ledger, 1, 1);
  ledger.record(submittedShard(2, DAY_MS + 20_000));
  const before = entryCount(path);
  const wrong = { ...receiptFor(ledger, 2), [field]: value };
  expect(() => ledger.record([accepted(wrong, DAY_MS)])).toThrow(expect.objectContaining({ code: 'RECEIPT_INVALID' }));
  expect(entryCount(path)).toBe(before);
  expect(ledger.attempt(NETWORK, 's2', 1)?.state).toBe('submitted');
  ledger.record([accepted(receiptFor(ledger, 2), DAY_MS + 25_000, true)]);
  expect(ledger.recent(1)[0]).toMatchObject({ state: 'accepted', audited: true });
});

test('a receipt is taken once: the second time nothing is counted', () => {
  const { ledger } = scene();
  workThrough(ledger, 1, 1);
  const again = { ...receiptFor(ledger, 1) };
  expect(() => ledger.record([accepted(again, DAY_MS)])).toThrow(expect.objectContaining({ code: 'TRANSITION_ILLEGAL' }));
  expect(ledger.totals(DAY_MS, DAY_MS + 86_400_000)[0]).toMatchObject({ accepted: '30', acceptedShards: 1 });
});

test('a batch must follow the one before, be over our receipts, and be signed by both sides', () => {
  const { ledger, path } = scene();
  workThrough(ledger, 1, 4);
  const right = coSigned(ledger, 1, 2);
  const other = coSigned(ledger, 3, 4);
  const before = entryCount(path);
  const wrong = [
    { ...right, coordinatorSignature: right.workerSignature },
    { ...right, workerSignature: right.coordinatorSignature },
    { ...right, batch: { ...right.batch, merkleRoot: other.batch.merkleRoot } },
    { ...right, batch: { ...right.batch, headHash: other.batch.headHash } },
    { ...right, batch: { ...right.batch, last: 3 } },
    { ...right, batch: { ...right.batch, last: 5 } },
    { ...right, batch: { ...right.batch, worker: COORDINATOR.address } },
    other,
  ];
  for (const signed of wrong) {
    const event: LedgerEvent = { kind: 'batch', at: DAY_MS, coordinator: COORDINATOR.address, ...signed };
    expect(() => ledger.record([event])).toThrow(expect.objectContaining({ code: 'BATCH_INVALID' }));
  }
  expect(() => ledger.checkBatch({ ...right, workerSignature: null }, COORDINATOR.address)).not.toThrow();
  expect(() => ledger.checkBatch({ ...right, workerSignature: null }, WORKER.address)).toThrow(
    expect.objectContaining({ code: 'BATCH_INVALID' }),
  );
  expect(entryCount(path)).toBe(before);
  ledger.record([{ kind: 'batch', at: DAY_MS, coordinator: COORDINATOR.address, ...right }]);
  const taken: LedgerEvent = { kind: 'batch', at: DAY_MS, coordinator: WORKER.address, ...other };
  expect(() => ledger.record([taken])).toThrow(expect.objectContaining({ code: 'BATCH_INVALID' }));
  ledger.record([batched(ledger, 3, 4, DAY_MS)]);
  expect(ledger.lastBatched(NETWORK)).toBe(4);
});

test('the four numbers: expected, accepted, and for now nothing promised and nothing paid', () => {
  const { ledger } = scene();
  const money = 'eip155:1612/slip44:60';
  workThrough(ledger, 1, 2, DAY_MS - 3_600_000);
  workThrough(ledger, 3, 3, DAY_MS + 3_600_000);
  const price = (10n ** 30n).toString();
  ledger.record(submittedShard(4, DAY_MS, { asset: money, origin: 'network', unitPrice: price }));
  ledger.record(submittedShard(5, DAY_MS, { asset: money, origin: 'network', unitPrice: price }, 7));
  ledger.record([accepted(receiptFor(ledger, 4), DAY_MS)]);
  ledger.record([step('shard.disputed', 5, DAY_MS)]);
  expect(ledger.totals(DAY_MS, DAY_MS + 86_400_000)).toEqual([
    {
      asset: money,
      expected: (7n * 10n ** 30n).toString(),
      accepted: (10n ** 31n).toString(),
      promised: '0',
      paid: '0',
      acceptedShards: 1,
      acceptedToday: (10n ** 31n).toString(),
      acceptedShardsToday: 1,
    },
    {
      asset: ASSET,
      expected: '0',
      accepted: '90',
      promised: '0',
      paid: '0',
      acceptedShards: 3,
      acceptedToday: '30',
      acceptedShardsToday: 1,
    },
  ]);
  expect(ledger.acceptedCount()).toBe(4);
});

test('what is open after a crash is named, and what still waits for acceptance is kept in the spool', () => {
  const { ledger } = scene();
  workThrough(ledger, 1, 1);
  ledger.record([leased(2, DAY_MS), ...submittedShard(3, DAY_MS), leased(4, DAY_MS), step('shard.cancelled', 4, DAY_MS)]);
  expect(ledger.unfinished().map(({ shardId, state }) => [shardId, state])).toEqual([
    ['s2', 'leased'],
    ['s3', 'submitted'],
  ]);
  expect(ledger.isAwaited(digestOf(5003))).toBe(true);
  expect(ledger.isAwaited(digestOf(5001))).toBe(false);
});

test('why a task ended is said in words of the catalogue, and foreign words are cut', () => {
  const { ledger } = scene();
  const key = { at: DAY_MS, network: NETWORK, attempt: 1 };
  ledger.record([1, 2, 3, 4].map((number) => leased(number, DAY_MS)));
  ledger.record([
    { kind: 'shard.failed', ...key, shardId: 's1', code: 'RUN_FAILED', detail: `${'é'.repeat(299)}💡 and on` },
    { kind: 'shard.released', ...key, shardId: 's2', reason: 'paused' },
    { kind: 'shard.expired', ...key, shardId: 's3' },
    { kind: 'shard.cancelled', ...key, shardId: 's4' },
  ]);
  const reasons = new Map(ledger.recent(4).map(({ shardId, reason }) => [shardId, reason]));
  expect(reasons.get('s1')).toEqual({ key: 'reason.task-failed', params: { detail: `${'é'.repeat(299)}\ufffd` } });
  expect(reasons.get('s2')).toEqual({ key: 'reason.task-released-paused', params: {} });
  expect(reasons.get('s3')).toEqual({ key: 'reason.task-expired', params: {} });
  expect(reasons.get('s4')).toBeNull();
});

test('entries can be appended in sequence and nothing else', () => {
  const { ledger, path } = scene();
  workThrough(ledger, 1, 1);
  const db = new Database(path);
  const last = db.prepare<[], { sequence: number; hash: string }>('SELECT sequence, hash FROM entries ORDER BY sequence DESC').get();
  const next = (last?.sequence ?? 0) + 1;
  const insert = (verb: string, sequence: number | null, previous: string) =>
    db.prepare(`${verb} INTO entries VALUES (?, 1, 'agent.stopped', '{}', ?, ?)`).run(sequence, previous, digestOf(1));
  const append = /append-only|follow the last/;
  expect(() => db.exec("UPDATE entries SET body = '{}' WHERE sequence = 1")).toThrow(append);
  expect(() => db.exec('UPDATE OR REPLACE entries SET sequence = 1 WHERE sequence = 2')).toThrow(append);
  expect(() => db.exec('DELETE FROM entries WHERE sequence = 1')).toThrow(append);
  expect(() => insert('INSERT', next + 1, last?.hash ?? '')).toThrow(append);
  expect(() => insert('INSERT', null, last?.hash ?? '')).toThrow(append);
  expect(() => insert('INSERT', -1, last?.hash ?? '')).toThrow(append);
  expect(() => insert('INSERT', next, digestOf(3))).toThrow(append);
  expect(() => insert('INSERT OR REPLACE', 1, digestOf(0))).toThrow(append);
  expect(() => insert('INSERT OR REPLACE', 1, last?.hash ?? '')).toThrow(append);
  expect(() => db.exec(`INSERT INTO entries VALUES (1, 1, 'x', '{}', '', '') ON CONFLICT (sequence) DO UPDATE SET kind = 'y'`)).toThrow(
    append,
  );
  db.close();
});

test('a full disk leaves nothing half-written, and work goes on when there is room', async () => {
  const { path, ledger } = openScene();
  ledger.close();
  const db = connectWriter(path);
  const tight = new Ledger(db, { path, signer: WORKER });
  opened.push({ ledger: tight });
  const pages = Number(db.pragma('page_count', { simple: true }));
  db.pragma(`max_page_count = ${pages + 2}`);
  let written = 0;
  expect(() => {
    for (; written < 1000; written += 1) tight.record(submittedShard(written, DAY_MS + written));
  }).toThrow(expect.objectContaining({ code: 'DISK_FULL' }));
  expect(tight.unfinished()).toHaveLength(written);
  expect((await tight.verify()).problems).toEqual([]);
  db.pragma('max_page_count = 1000000');
  tight.record(submittedShard(written, DAY_MS));
  expect(tight.unfinished()).toHaveLength(written + 1);
  expect((await tight.verify()).problems).toEqual([]);
});
