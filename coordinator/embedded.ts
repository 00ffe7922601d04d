import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { HearthlendError } from '../core/contract/errors.ts';
import type { EmbeddedCoordinator, PracticeSource } from '../core/contract/jobs.ts';
import { type Blobs, openBlobs } from './blobs.ts';
import { type Coordinator, type CoordinatorOptions, createCoordinator } from './core.ts';
import { createLendingAhead } from './lending-ahead.ts';
import type { Log } from './log.ts';
import type { Worker } from './service.ts';
import { openSqliteStore } from './sqlite/store.ts';

export interface EmbeddedOptions
  extends Pick<CoordinatorOptions, 'networkId' | 'signer' | 'reference' | 'clock' | 'random' | 'leaseMs' | 'auditProbability' | 'auditMs'> {
  /** A folder of its own, made where it is missing: coordinator.db and blobs/. */
  dir: string;
  practice: PracticeSource;
  quota: { shardsPerDay: number; minutesPerDay: number };
  /** ms that only grow, from any origin. */
  monotonic?: () => number;
  log?: Log;
}

/** Most receipts or batches in one answer; the worker asks again after them. */
const PAGE = 10_000;

/**
 * A network in the same program: one worker, a SQLite file, the owner's own jobs and practice, without an account or a server.
 * @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE, DATA_DIR_UNWRITABLE, DISK_FULL
 */
export function createEmbeddedCoordinator(options: EmbeddedOptions): EmbeddedCoordinator {
  const { dir, networkId, practice: source, quota } = options;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw new HearthlendError('DATA_DIR_UNWRITABLE', { path: dir, detail: (thrown as Error).message }, { cause: thrown });
  }
  const blobs = openBlobs(join(dir, 'blobs'));
  const { store, book } = openSqliteStore(join(dir, 'coordinator.db'), networkId);
  const monotonic = options.monotonic ?? (() => performance.now());
  const coordinator = createCoordinator({
    ...options,
    store,
    blobs,
    monotonic,
    log: options.log ?? (() => undefined),
    practice: { source, book, quota },
  });
  return forOneWorker(coordinator, { id: networkId, blobs, closeStore: store.close, monotonic });
}

/** A coordinator as the network of the one worker that connects to it in this process. */
export function forOneWorker(
  { service, intake, keys, practice, close }: Coordinator,
  { id, blobs, closeStore, monotonic }: { id: string; blobs: Blobs; closeStore: () => Promise<void>; monotonic: () => number },
): EmbeddedCoordinator {
  let worker: Worker | undefined;
  let closing: Promise<void> | undefined;

  function connected(): Worker {
    if (worker === undefined) throw new HearthlendError('INTERNAL', { detail: `no worker is connected to ${id}` });
    return worker;
  }

  const lending = createLendingAhead({
    lease: (request) => service.lease(connected(), request),
    release: (key, reason) => service.release(connected(), key, reason, null),
    monotonic,
  });
  service.subscribe((event) => {
    if (event.type === 'revoked') lending.drop(event);
  });

  return {
    ...intake,
    keys,
    id,
    async connect({ address, payee, holds }) {
      worker = { address, payee };
      return service.connect(worker, holds);
    },
    lease: lending.lease,
    dropAhead: lending.dropAll,
    progress: async (shardId, attempt, fraction, made) => service.progress(connected(), { shardId, attempt }, fraction, made),
    exchange: async (shardId, attempt, step, outputs) => service.exchange(connected(), { shardId, attempt }, step, outputs),
    fetchBlob: async (digest) => ({ type: 'file', path: await blobs.path(digest) }),
    submit: async (submission, outputs, kept) => service.submit(connected(), submission, outputs, kept),
    async release(shardId, attempt, reason, code, params = {}) {
      const failure = code !== null ? { code, params } : reason === 'failed' ? { code: 'RUN_FAILED', params: { detail: '?' } } : null;
      return service.release(connected(), { shardId, attempt }, reason, failure);
    },
    receiptsSince: async (sequence) => service.receiptsSince(connected(), sequence, PAGE),
    pendingBatches: async ({ leaving } = { leaving: false }) => service.pendingBatches(connected(), { leaving, limit: PAGE }),
    countersign: async ({ last }, signature) => service.countersign(connected(), last, signature),
    subscribe: (listener) => service.subscribe((event, to) => (to !== null && to !== worker?.address ? undefined : listener(event))),
    close() {
      closing ??= close().finally(closeStore);
      return closing;
    },
    practice: practice.left,
    extendPractice: practice.extend,
  };
}
