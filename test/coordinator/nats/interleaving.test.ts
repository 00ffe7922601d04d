import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import type { Applied, Store } from '../../../coordinator/store.ts';
import { natsMissing } from '../../nats.ts';
import { hashOf, jobOf, leaseOf, receiptFor, shardOf, submissionFor } from '../store-contract.ts';
import { dumpOf, Replicas } from './replicas.ts';

const WORKERS = [`0x${'a'.repeat(40)}`, `0x${'b'.repeat(40)}`] as const;

/** Something that a coordinator may be asked to change; what it says may be out of date, or impossible, by then. */
type Act = (store: Store) => Promise<unknown>;

const id = fc.constantFrom('p1', 'p2', 'j1.1', 'j1.2', 'j2.1');
const job = fc.constantFrom('j1', 'j2');
const key = fc.record({ shardId: id, attempt: fc.integer({ min: 1, max: 3 }) });
const worker = fc.constantFrom(...WORKERS);
const time = fc.integer({ min: 1, max: 300 });
const digest = fc.constantFrom('4'.repeat(64), '5'.repeat(64));
const act: fc.Arbitrary<Act> = fc.oneof(
  job.map(
    (name): Act =>
      (store) =>
        store.addJob({ ...jobOf(name, 5), shards: 2 }, [shardOf(`${name}.1`, name, 5), shardOf(`${name}.2`, name, 5)]),
  ),
  id.map(
    (name): Act =>
      (store) =>
        store.addPractice(shardOf(name, 'practice', 1)),
  ),
  fc.constant<Act>((store) => store.takePracticeNumber()),
  fc.tuple(key, worker).map(
    ([{ shardId, attempt }, by]): Act =>
      (store) =>
        store.lend([leaseOf(shardId, attempt, by)], 0),
  ),
  key.map(
    ({ shardId, attempt }): Act =>
      (store) =>
        store.commit(submissionFor(shardId, attempt)),
  ),
  fc.tuple(key, fc.boolean()).map(
    ([each, audit]): Act =>
      (store) =>
        store.drawAudit(each, audit),
  ),
  fc.tuple(key, time).map(([each, at]): Act => {
    const end = { state: 'released', reason: 'paused', failure: null } as const;
    return (store) => store.endAttempt(each, 'leased', end, { state: 'queued' }, at);
  }),
  fc.tuple(key, worker, time).map(([each, by, at]): Act => {
    return (store) => store.accept(each, false, receiptFor(each.shardId, store.receiptHead(by), by), hashOf(each.shardId), at);
  }),
  fc.tuple(worker, time).map(
    ([by, at]): Act =>
      (store) =>
        store.renewAll(by, at),
  ),
  fc.tuple(job, time).map(
    ([name, at]): Act =>
      (store) =>
        store.cancelJob(name, at),
  ),
  fc.tuple(job, digest).map(
    ([name, each]): Act =>
      (store) =>
        store.hold(name, [each]),
  ),
  job.map(
    (name): Act =>
      (store) =>
        store.letGo(name),
  ),
  time.map(
    (at): Act =>
      (store) =>
        store.forgetBefore(at),
  ),
);

describe.skipIf(natsMissing() !== null)('changes of two coordinators', () => {
  let replicas: Replicas;
  beforeAll(async () => {
    replicas = await Replicas.start();
  });
  afterAll(() => replicas.stop());
  afterEach(() => replicas.closeAll());

  test('whatever they change at once, both have the same state, and everything came out as if asked for one after the other', async () => {
    // Each turn is asked for at once, at one coordinator or the other.
    const turns = fc.array(fc.array(fc.tuple(fc.constantFrom(0, 1), act), { minLength: 1, maxLength: 12 }), {
      minLength: 4,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(turns, async (asked) => {
        const network = replicas.newNetwork();
        const opened = [await replicas.open(network, 'a'), await replicas.open(network, 'b')] as const;
        const told: Applied[][] = [[], []];
        const results: unknown[][] = [[], []];
        for (const [index, { store }] of opened.entries()) store.onApplied((applied) => told[index]?.push(applied));
        for (const turn of asked) {
          await Promise.all(
            turn.map(async ([index, change]) => {
              // Some say what can't be: they fail, and change nothing.
              await change(opened[index as 0 | 1].store).then(
                (result) => results[index]?.push(result),
                () => undefined,
              );
            }),
          );
        }
        for (const { caughtUp } of opened) await caughtUp();
        await replicas.closeAll();

        const log = (told[0] ?? []).map(({ name, args, result }) => ({ name, args, result }));
        expect((told[1] ?? []).map(({ name, args, result }) => ({ name, args, result }))).toEqual(log);
        for (const index of [0, 1]) expect(told[index]?.filter(({ own }) => own).map(({ result }) => result)).toEqual(results[index]);
        const { log_position, log_writers, ...state } = replicas.dump(network, 'a');
        expect(replicas.dump(network, 'b')).toEqual({ log_position, log_writers, ...state });

        const path = join(replicas.root, `${network}.db`);
        const { store } = openSqliteStore(path, network);
        for (const { name, args, result } of log) {
          const again = store[name] as (...values: unknown[]) => Promise<unknown>;
          expect(await again(...args)).toEqual(result);
        }
        await store.close();
        expect(dumpOf(path)).toEqual(state);
      }),
      { numRuns: 12 },
    );
  });
});
