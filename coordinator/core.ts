import type { ApiKeys } from '../core/contract/api-keys.ts';
import { asHearthlendError, HearthlendError } from '../core/contract/errors.ts';
import type {
  InspectModel,
  JobIntake,
  LocalModel,
  MadeOfShard,
  ModelSplitter,
  PracticeSource,
  ReferenceWorker,
} from '../core/contract/jobs.ts';
import type { NetworkTerms } from '../core/contract/joining.ts';
import { practiceCredit } from '../core/contract/money.ts';
import type { JobStatus, NetworkEvent, NetworkInfo } from '../core/contract/network.ts';
import type { Address } from '../core/contract/receipt.ts';
import { MAX_LOCAL_AUDITS } from './audit.ts';
import { type CoordinatorSigner, createBatching } from './batching.ts';
import type { Blobs } from './blobs.ts';
import type { Context } from './context.ts';
import { createCountdowns } from './countdown.ts';
import { createListeners } from './events.ts';
import { followOthers } from './following.ts';
import { createHolding } from './holding.ts';
import { createIntake } from './intake.ts';
import { createKeys } from './keys.ts';
import { serveLatest, takeInLatest } from './latest.ts';
import { createLending } from './lending.ts';
import type { Log } from './log.ts';
import { createMachines } from './machines.ts';
import type { Others } from './others.ts';
import { createPractising, type Practising } from './practising.ts';
import { mayRead } from './reading.ts';
import { retire, sweep } from './recovery.ts';
import type { WorkerService } from './service.ts';
import { createSettling } from './settling.ts';
import { watchPlaces } from './staging/places.ts';
import { createSpread } from './staging/spreading.ts';
import { createStaging } from './staging/staging.ts';
import type { AttemptKey, Failure, PracticeBook, Store } from './store.ts';
import { type AuditPolicy, createAuditor } from './trust/auditor.ts';
import { createComparing } from './trust/comparing.ts';
import { createMeasuring, type Measuring } from './trust/measuring.ts';
import { auditReport, suspensionOf } from './trust/report.ts';
import { createStageAudits } from './trust/stage-auditor.ts';
import { createVouching } from './vouching/vouching.ts';

export interface CoordinatorOptions {
  networkId: string;
  /** Both stay open when the coordinator closes: who opened them closes them. */
  store: Store;
  blobs: Blobs;
  /** Resolves when everything that any coordinator had recorded at the call is in the store; left out where this one is alone. */
  caughtUp?: () => Promise<void>;
  /** The network's other coordinators, where messages reach them. */
  others?: Others;
  signer: CoordinatorSigner;
  reference: ReferenceWorker;
  /** What its operator says of it. Left out where it lends its owner's work to its owner's machine alone. */
  terms?: NetworkTerms;
  /** Left out where there is no practice. */
  practice?: { source: PracticeSource; book: PracticeBook; quota: { shardsPerDay: number; minutesPerDay: number } };
  /** ms since 1970. May jump; leases are counted down on `monotonic`. */
  clock: () => number;
  /** ms that only grow, from any origin. */
  monotonic: () => number;
  /** Uniform in [0, 1). */
  random: () => number;
  log: Log;
  /** How long a lease lasts without a heartbeat; 5 minutes where left out. */
  leaseMs?: number;
  /** How often work of this trust domain is computed again by the reference: 0.05 where left out, and at most. */
  auditProbability?: number;
  /** How long one machine has to take up a shard that another's result is audited by; 4 s where left out. 0: the reference audits alone. */
  offerMs?: number;
  /** How long a submission waits for one computation of the reference; 20 s where left out. */
  auditMs?: number;
  /** Cuts models that no machine has the memory for. Left out where none are. */
  splitter?: ModelSplitter;
  /** What models are made of. Left out where they are known: in float32, and nothing by chance. */
  inspect?: InspectModel;
}

/** A coordinator for any number of workers, whatever carries their calls. */
export interface Coordinator {
  service: WorkerService;
  intake: JobIntake;
  keys: ApiKeys;
  practice: Pick<Practising, 'left' | 'extend'>;
  measuring: Measuring;
  /** Answers what is under way, and signs what is open. After it every call is refused with CANCELLED. */
  close(): Promise<void>;
}

const LEASE_MS = 300_000;
/** The shortest, for work that is known well: heartbeats come three times as often. */
const LEAST_LEASE_MS = 30_000;
const AUDIT_MS = 20_000;
/** A batch that nobody closes for one to two of these was another coordinator's. */
const CLOSE_LEFT_EVERY_MS = 5000;
const RETIRE_EVERY_MS = 6 * 3_600_000;
const NO_PRACTICE: Coordinator['practice'] = {
  left: () => ({ acceptedToday: 0, shardsLeft: 0, msLeft: 0 }),
  extend: () => undefined,
};

/**
 * Jobs, leases, audits and receipts on a store that several of these may share: only what the store compares and sets decides. Nothing is lent before
 * what a crash left is in order; an error in that is what every call then rejects with.
 */
export function createCoordinator(options: CoordinatorOptions): Coordinator {
  const { networkId, store, blobs, signer, clock, monotonic, log, terms } = options;
  const networkEvents = createListeners<{ event: NetworkEvent; to: Address | null }>(log);
  const jobEvents = createListeners<JobStatus>(log);
  const leaseMs = options.leaseMs ?? LEASE_MS;
  const context: Context = {
    networkId,
    origin: terms === undefined ? 'own' : 'network',
    store,
    blobs,
    holding: createHolding(store, blobs),
    countdowns: createCountdowns(monotonic, () => lending.expireInBackground()),
    terms: terms ?? null,
    money: { symbol: terms?.symbol ?? '', decimals: terms?.decimals ?? 0 },
    machines: createMachines({ store, clock, monotonic, log }),
    clock,
    monotonic,
    random: options.random,
    leaseMs,
    leaseBounds: { leastMs: terms === undefined ? leaseMs : Math.min(LEAST_LEASE_MS, leaseMs), mostMs: leaseMs },
    log,
    emit(event, to = null) {
      // Of a network only those are told who wait for such work.
      if (terms !== undefined && event.type === 'work' && to === null) lending.wake();
      else networkEvents.emit({ event, to });
    },
    jobIs: jobEvents.emit,
    async jobChanged(jobId) {
      const job = await store.job(jobId);
      if (job !== null) jobEvents.emit(job);
    },
  };
  const practising =
    options.practice === undefined
      ? null
      : createPractising(context, options.practice.book, options.practice.source, options.practice.quota, monotonic);
  const batching = createBatching(store, signer, log, (worker) => context.emit({ type: 'batch' }, worker));
  const vouching =
    terms?.settlement == null
      ? null
      : createVouching(store, signer, { ...domainOf(terms.settlement), holdBackMs: terms.holdBackMs, clock }, log, (worker) =>
          context.emit({ type: 'voucher' }, worker),
        );
  const inspect = options.inspect ?? (async () => ({ coarse: false, random: null, indices: [] }));
  const comparing = createComparing(context, options.offerMs);
  const auditing: AuditPolicy = {
    reference: options.reference,
    probability: options.auditProbability ?? MAX_LOCAL_AUDITS,
    limitMs: options.auditMs ?? AUDIT_MS,
    random: options.random,
    inspect,
  };
  const auditor = createAuditor(context, auditing, comparing);
  const others = options.others ?? null;
  const madeTokens = createListeners<MadeOfShard>(log);
  const tellMade = (made: MadeOfShard) => {
    madeTokens.emit(made);
    // Whoever reads along may have asked another coordinator.
    others?.tellMade(made);
  };
  const takeBack = async (key: AttemptKey, why: 'crashed' | 'stopped' | 'failed', failure: Failure | null) => {
    const attempt = await store.attempt(key);
    if (attempt === null) return;
    await lending.release({ address: attempt.worker, payee: attempt.payee }, key, why, failure);
    context.emit({ type: 'revoked', ...key }, attempt.worker);
  };
  const staging = createStaging(context, {
    drop: (key, why) => takeBack(key, why, null),
    refuse: (key, detail) => takeBack(key, 'failed', { code: 'AUDIT_FAILED', params: { shard: key.shardId, detail } }),
    audits: terms === undefined ? null : createStageAudits(context, auditing),
    ...{ tellMade, others },
  });
  const settling = createSettling(context, practising, batching, auditor, staging);
  const lending = createLending(context, practising, settling.isSettling);
  const unwatch = watchPlaces(context, ({ worker: address, payee, shardId, attempt }) =>
    lending.release({ address, payee }, { shardId, attempt }, 'stopped', null),
  );
  const intake = createIntake(context, terms ?? null, createSpread(context, options.splitter ?? null));
  const info: NetworkInfo = {
    id: networkId,
    coordinator: signer.address,
    asset: terms?.asset ?? practiceCredit(networkId),
    // Where the work is the owner's own, whatever the machine has is good enough.
    isolation: terms?.isolation ?? ['os', 'chromium', 'process'],
    sameTrustDomain: terms === undefined,
  };

  let closing: Promise<void> | undefined;
  let unneeded: ReadonlySet<string> = new Set();
  const inOrder = recover();
  // Told to whoever calls next.
  inOrder.catch((thrown: unknown) => log('error', 'recovery-failed', { detail: asHearthlendError(thrown).message }));
  const tidying = setInterval(() => {
    tidy().catch((thrown: unknown) => log('error', 'not-retired', { detail: asHearthlendError(thrown).message }));
  }, RETIRE_EVERY_MS);
  tidying.unref();
  const unfollow = terms === undefined ? () => undefined : followOthers(context);
  const closingLeft = terms === undefined ? undefined : setInterval(closeLeft, CLOSE_LEFT_EVERY_MS).unref();

  function closeLeft(): void {
    batching.closeLeft().catch((thrown: unknown) => log('error', 'batch-not-closed', { detail: asHearthlendError(thrown).message }));
  }

  async function tidy(): Promise<void> {
    await retire(context);
    await comparing.tidy();
    if (terms !== undefined) unneeded = await sweep(context, null, unneeded);
  }

  async function recover(): Promise<void> {
    await retire(context);
    unneeded = await sweep(context, practising?.model ?? null, unneeded);
    await lending.resume();
    await comparing.tidy();
    await staging.resume();
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

  async function shutDown(): Promise<void> {
    clearInterval(tidying);
    clearInterval(closingLeft);
    unlisten?.();
    unwatch();
    unfollow();
    await inOrder.catch(() => undefined);
    try {
      staging.close();
      await settling.finish();
      comparing.close();
      lending.close();
      batching.stop();
      vouching?.stop();
      await batching.closeAll();
    } finally {
      intake.close();
      context.countdowns.close();
    }
  }

  const service: WorkerService = {
    connect: (worker, holds) =>
      whenOpen(async () => {
        if (holds !== undefined) await lending.takeBack(worker, holds);
        return info;
      }),
    lease: (worker, request) =>
      whenOpen(async () => {
        const suspended = terms === undefined ? undefined : suspensionOf(store, worker.address, clock());
        return suspended === undefined ? lending.lease(worker, request) : { type: 'no-work', ...suspended };
      }),
    vouchers: (worker, last, limit, of) =>
      whenOpen(async () => {
        const named = of?.toLowerCase() ?? worker.address.toLowerCase();
        if (named === worker.address.toLowerCase()) return store.vouchersAfter(worker.address, worker.payee, last, limit);
        const former = (await store.formerWorkers(worker.address)).find((each) => each.worker.toLowerCase() === named);
        return former === undefined ? [] : store.vouchersAfter(former.worker, former.payee, last, limit);
      }),
    audits: (worker) => whenOpen(() => auditReport(store, worker.address, clock())),
    progress: (worker, key, fraction, made) =>
      whenOpen(async () => {
        const held = await lending.progress(worker, key, fraction);
        if (held && made !== undefined) tellMade({ shardId: key.shardId, ...made });
        return held;
      }),
    exchange: (worker, key, step, outputs, how) => whenOpen(() => staging.exchange(worker, key, step, outputs, how)),
    submit: (worker, submission, outputs, kept) => whenOpen(() => settling.submit(worker, submission, outputs, kept)),
    release: (worker, key, reason, failure) => whenOpen(() => lending.release(worker, key, reason, failure)),
    receiptsSince: (worker, sequence, limit) => whenOpen(() => store.receiptsAfter(worker.address, sequence, limit)),
    pendingBatches: (worker, { leaving, limit }) =>
      whenOpen(async () => {
        if (leaving) await batching.closeOf(worker.address);
        return store.pendingBatches(worker.address, limit);
      }),
    countersign: (worker, last, signature) => whenOpen(() => batching.countersign(worker.address, networkId, last, signature)),
    mayRead: (worker, digest) => whenOpen(() => mayRead(context, worker.address, digest)),
    subscribe: (listener) => networkEvents.add(({ event, to }) => listener(event, to)),
  };
  const jobs: JobIntake = {
    submitJob: (request, order) =>
      whenOpen(async () => {
        // Of a model that comes in stages nothing else is here.
        const models = request.split?.manifest.stages.map(({ manifest }) => ({ manifest, files: request.split?.files ?? new Map() })) ?? [
          request.model,
        ];
        if (terms !== undefined) for (const model of models) await refuseUnauditable(inspect, model);
        return context.machines.priced(await intake.submitJob(request, order));
      }),
    prepare: (request, order) => whenOpen(() => intake.prepare(request, order)),
    job: (id) =>
      whenOpen(async () => {
        const job = await intake.job(id);
        return job === null ? null : context.machines.priced(job);
      }),
    jobs: () => whenOpen(() => intake.jobs()),
    cancelJob: (id) => whenOpen(() => intake.cancelJob(id)),
    outputs: (id) => whenOpen(() => intake.outputs(id)),
    outputBlobs: (id) => whenOpen(() => intake.outputBlobs(id)),
    onMade: madeTokens.add,
    onJob: jobEvents.add,
  };

  const { caughtUp } = options;
  const served = caughtUp === undefined ? service : serveLatest(service, store, caughtUp);
  const unlisten = others?.onMade(madeTokens.emit);
  others?.answer(({ worker, key, step, part }, outputs) => served.exchange(worker, key, step, outputs, { part, passedOn: true }));
  return {
    service: served,
    intake: caughtUp === undefined ? jobs : takeInLatest(jobs, store, caughtUp),
    keys: createKeys(store, clock),
    measuring: createMeasuring(context),
    practice: practising ?? NO_PRACTICE,
    close() {
      closing ??= shutDown();
      return closing;
    },
  };
}

function domainOf({ chainId, contract, payer, epochMs }: NonNullable<NetworkTerms['settlement']>) {
  return { domain: { chainId, contract }, payer, epochMs };
}

/** Where results are audited a model must give the same ones again, or show how close a tie was. @throws MODEL_OPERATOR_RANDOM, MODEL_INDICES_ALONE, and what is wrong with its file */
async function refuseUnauditable(inspect: InspectModel, model: LocalModel): Promise<void> {
  const { random, indices } = await inspect(model);
  if (random !== null) throw new HearthlendError('MODEL_OPERATOR_RANDOM', random);
  const alone = indices.find(({ given }) => !given);
  if (alone !== undefined) throw new HearthlendError('MODEL_INDICES_ALONE', { output: alone.output, values: alone.values });
}
