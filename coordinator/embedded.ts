import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { asHearthlendError, HearthlendError } from '../core/contract/errors.ts';
import type { EmbeddedCoordinator, PracticeSource, ReferenceWorker } from '../core/contract/jobs.ts';
import { practiceCredit } from '../core/contract/money.ts';
import type { JobStatus, NetworkEvent } from '../core/contract/network.ts';
import { MAX_LOCAL_AUDITS } from './audit.ts';
import { type CoordinatorSigner, createBatching } from './batching.ts';
import { openBlobs } from './blobs.ts';
import type { Context } from './context.ts';
import { createCountdowns } from './countdown.ts';
import { createListeners } from './events.ts';
import { createHolding } from './holding.ts';
import { createIntake } from './intake.ts';
import { createLending, type Worker } from './lending.ts';
import type { Log } from './log.ts';
import { createPractising } from './practising.ts';
import { retire, sweep } from './recovery.ts';
import { createSettling } from './settling.ts';
import { openSqliteStore } from './sqlite/store.ts';

export interface EmbeddedOptions {
  /** A folder of its own, made where it is missing: coordinator.db and blobs/. */
  dir: string;
  networkId: string;
  signer: CoordinatorSigner;
  reference: ReferenceWorker;
  practice: PracticeSource;
  quota: { shardsPerDay: number; minutesPerDay: number };
  /** ms since 1970. May jump; leases are counted down on `monotonic`. */
  clock: () => number;
  /** Uniform in [0, 1). */
  random: () => number;
  /** How long a lease lasts without a heartbeat; 5 minutes where left out. */
  leaseMs?: number;
  /** How often practice is computed again by the reference: 0.05 where left out, and at most. */
  auditProbability?: number;
  /** How long a submission waits for one computation of the reference; 20 s where left out. */
  auditMs?: number;
  /** ms that only grow, from any origin. */
  monotonic?: () => number;
  log?: Log;
}

const LEASE_MS = 300_000;
const AUDIT_MS = 20_000;
const RETIRE_EVERY_MS = 6 * 3_600_000;
/** Most receipts or batches in one answer; the worker asks again after them. */
const PAGE = 10_000;

/**
 * A network in the same program: jobs, leases, audits and receipts on a SQLite file, without an account or a server. Nothing is lent before what a
 * crash left is in order; an error in that is what every call then rejects with.
 * @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE, DATA_DIR_UNWRITABLE, DISK_FULL
 */
export function createEmbeddedCoordinator(options: EmbeddedOptions): EmbeddedCoordinator {
  const { dir, networkId, signer, clock } = options;
  const monotonic = options.monotonic ?? (() => performance.now());
  const log: Log = options.log ?? (() => undefined);
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw new HearthlendError('DATA_DIR_UNWRITABLE', { path: dir, detail: (thrown as Error).message }, { cause: thrown });
  }
  const blobs = openBlobs(join(dir, 'blobs'));
  const { store, book } = openSqliteStore(join(dir, 'coordinator.db'), networkId);
  const networkEvents = createListeners<NetworkEvent>(log);
  const jobEvents = createListeners<JobStatus>(log);
  const context: Context = {
    networkId,
    store,
    blobs,
    holding: createHolding(store, blobs),
    countdowns: createCountdowns(monotonic, () => lending.expireInBackground()),
    clock,
    leaseMs: options.leaseMs ?? LEASE_MS,
    log,
    emit: networkEvents.emit,
    async jobChanged(jobId) {
      const job = await store.job(jobId);
      if (job !== null) jobEvents.emit(job);
    },
  };
  const practising = createPractising(context, book, options.practice, options.quota, monotonic);
  const batching = createBatching(store, signer, log, () => networkEvents.emit({ type: 'batch' }));
  const settling = createSettling(context, practising, batching, {
    reference: options.reference,
    probability: options.auditProbability ?? MAX_LOCAL_AUDITS,
    limitMs: options.auditMs ?? AUDIT_MS,
    random: options.random,
  });
  const lending = createLending(context, practising, settling.isSettling);
  const intake = createIntake(context);

  let worker: Worker | undefined;
  let closing: Promise<void> | undefined;
  const inOrder = recover();
  // Told to whoever calls next.
  inOrder.catch((thrown: unknown) => log('error', 'recovery-failed', { detail: asHearthlendError(thrown).message }));
  const retiring = setInterval(() => {
    retire(context).catch((thrown: unknown) => log('error', 'not-retired', { detail: asHearthlendError(thrown).message }));
  }, RETIRE_EVERY_MS);
  retiring.unref();

  async function recover(): Promise<void> {
    await retire(context);
    await sweep(context, practising.model);
    await lending.resume();
    await batching.closeAll();
  }

  /** Runs a call once everything is in order, and not after the end. Whatever goes wrong in it has a code. */
  async function whenOpen<T>(call: () => Promise<T>): Promise<T> {
    if (closing !== undefined) throw new HearthlendError('CANCELLED');
    try {
      await inOrder;
      return await call();
    } catch (thrown) {
      throw asHearthlendError(thrown);
    }
  }

  async function asWorker<T>(call: (worker: Worker) => Promise<T>): Promise<T> {
    const connected = worker;
    if (connected === undefined) throw new HearthlendError('INTERNAL', { detail: `no worker is connected to ${networkId}` });
    return whenOpen(() => call(connected));
  }

  async function shutDown(): Promise<void> {
    clearInterval(retiring);
    await inOrder.catch(() => undefined);
    try {
      await settling.finish();
      batching.stop();
      await batching.closeAll();
    } finally {
      context.countdowns.close();
      store.close();
    }
  }

  return {
    id: networkId,
    connect: ({ address, payee, holds }) =>
      whenOpen(async () => {
        const connected = { address, payee };
        worker = connected;
        if (holds !== undefined) await lending.takeBack(connected, holds);
        return {
          id: networkId,
          coordinator: signer.address,
          asset: practiceCredit(networkId),
          // Both kinds of work come from this machine's owner.
          isolation: ['os', 'chromium', 'process'],
          sameTrustDomain: true,
        };
      }),
    lease: (request) => asWorker((connected) => lending.lease(connected, request)),
    progress: (shardId, attempt) => asWorker((connected) => lending.progress(connected, { shardId, attempt })),
    fetchBlob: (digest) => whenOpen(async () => ({ type: 'file', path: blobs.path(digest) })),
    submit: (submission, outputs) => asWorker((connected) => settling.submit(connected, submission, outputs)),
    release: (shardId, attempt, reason, code, params = {}) =>
      asWorker((connected) => {
        const failure = code !== null ? { code, params } : reason === 'failed' ? { code: 'RUN_FAILED', params: { detail: '?' } } : null;
        return lending.release(connected, { shardId, attempt }, reason, failure);
      }),
    receiptsSince: (sequence) => asWorker((connected) => store.receiptsAfter(connected.address, sequence, PAGE)),
    pendingBatches: ({ leaving } = { leaving: false }) =>
      asWorker(async (connected) => {
        if (leaving) await batching.closeAll();
        return store.pendingBatches(connected.address, PAGE);
      }),
    countersign: ({ network, last }, signature) =>
      asWorker((connected) => batching.countersign(connected.address, network, last, signature)),
    subscribe: networkEvents.add,
    close() {
      closing ??= shutDown();
      return closing;
    },
    submitJob: (request) => whenOpen(() => intake.submitJob(request)),
    job: (id) => whenOpen(() => intake.job(id)),
    jobs: () => whenOpen(() => intake.jobs()),
    cancelJob: (id) => whenOpen(() => intake.cancelJob(id)),
    outputs: (id) => whenOpen(() => intake.outputs(id)),
    onJob: jobEvents.add,
    practice: practising.left,
    extendPractice: practising.extend,
  };
}
