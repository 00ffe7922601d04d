import { setImmediate as turn } from 'node:timers/promises';
import type { AbortReason } from '../contract/abort.ts';
import { asHearthlendError, type HearthlendError } from '../contract/errors.ts';
import { ref } from '../contract/messages.ts';
import type { Shard } from '../contract/shard.ts';
import { askForLease, fetchShard, type ReadyShard } from './acquire.ts';
import { isAway, networkFault, signBatches } from './deliver.ts';
import { deliverGroup, type FreshResult, keepGroup } from './deliver-group.ts';
import { giveBack } from './give-back.ts';
import { createOutputs } from './outputs.ts';
import type { Ask, AttemptEnd, AttemptKey, ConnectedNetwork, WorkPorts } from './ports.ts';
import { recover } from './recover.ts';
import { Rest } from './rest.ts';
import { runShard } from './run-shard.ts';

/** Results on their way to a network at once, and their bytes, which are in memory until they are durable; computing waits beyond that. */
const MAX_DELIVERIES = 40;
const MAX_DELIVERY_BYTES = 256 * 2 ** 20;
/** Results of shorter shards are handed in together while more are on their way: what costs most is waiting for the disk. */
const GATHER = { shardMs: 25, ms: 60, results: 16 };
/**
 * Shards handed to each worker: one that it computes, and as many as it finds when it has that for so long it lacks none while this thread delivers
 * results; one at least.
 */
const WAITING_MS = 25;
const DEPTH = { least: 2, most: 5 };
/** While shards take no longer than this, one more is fetched ahead of those: asking for it takes some ms. */
const SHORT_MS = 250;
/** How long to wait before trying again what may pass: a full disk. */
const RETRY_MS = 5000;
/** The same for a network that can't be reached: doubled each time, from the first to the last. */
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;

export interface WorkLoop {
  /** Runs until stopped or until `shards` are accepted. Rejects only where going on would lose or falsify records. */
  run(options: { shards: number | null; practice: boolean }): Promise<void>;
  /** Kills what runs and hands it back, or with `finish` lets it end; nothing is leased until `resume`, and what was fetched ahead goes back now. */
  pause(options?: { finish: boolean }): void;
  resume(): void;
  /** Ends `run`: after the shard that runs is handed in, or at once. */
  stop(now: boolean): void;
  /** Asks for work again: there may be some now. */
  wake(): void;
  /** Works for one more of `networks`, while `run` runs. */
  add(from: ConnectedNetwork): void;
  /** Works no more for it: what runs is handed back. Resolves when nothing of it is under way. */
  remove(from: ConnectedNetwork): Promise<void>;
}

/**
 * Why something open with a network must be put in order before any new lease of it: at the start, on a full disk, or because it could not be
 * reached, which keeps nobody else from working.
 */
type Unsettled = 'start' | 'disk-full' | 'away';

/** A shard at its worker; `ended` when it is handed in or handed back. */
interface Running {
  from: ConnectedNetwork;
  key: AttemptKey;
  abort: AbortController;
  /** When the worker came to it; null while it waits there. */
  begunAt: number | null;
  /** A stage, which takes no lane: it computes a step now and then for as long as its generation takes. */
  stage: boolean;
  ended: Promise<void>;
}

/** Lease → fetch → run → spool → submit → accept, with the next shard fetched while one runs and results handed in behind it, in order. */
export function createWorkLoop(ports: WorkPorts): WorkLoop {
  const outputs = createOutputs(ports);
  const rest = new Rest();
  let wanted = Number.POSITIVE_INFINITY;
  let practice = true;
  let paused = false;
  let stopping = false;
  let accepted = 0;
  /** Attempts leased and not ended yet: they may still be accepted, so they count towards `wanted`. */
  const inFlight = new Counts();
  /** Those of them that are in hand: being fetched, computed or handed in. */
  const inHand = new Counts();
  /** What is being computed, as much as there are lanes, and what waits behind it. */
  const running = new Set<Running>();
  const inLanes = () => [...running].filter(({ stage }) => !stage);
  let next: Promise<ReadyShard | null> | undefined;
  const deliveries = new Map<ConnectedNetwork, Promise<void>>();
  /** Results that were waited for are there, or none will come. */
  let gathered: () => void = () => undefined;
  let delivering = 0;
  let deliveringBytes = 0;
  /** Computed, and not taken up by a delivery yet. */
  let fresh: FreshResult[] = [];
  const retryTimers = new Map<ConnectedNetwork, NodeJS.Timeout>();
  /** Networks with which something is open that must be put in order before any new lease. */
  const unsettled = new Map<ConnectedNetwork, Unsettled>();
  const settling = new Map<ConnectedNetwork, Promise<void>>();
  /** With these that was done since the start: what ends from then on is of this run. */
  const settledOnce = new Set<ConnectedNetwork>();
  const failures = new Counts();
  const unsubscribe = new Map<ConnectedNetwork, () => void>();
  /** Networks that proved wrong, or were left, and get no more work done. */
  const suspended = new Set<ConnectedNetwork>();
  /** How long the last shard took. */
  let lastMs: number | null = null;
  let fatal: HearthlendError | undefined;

  /** Whether a shard is in hand whose result isn't there. */
  const moreComes = () => inHand.sum(() => true) > delivering;
  /** What is open with a network that is away may be accepted some day: nobody waits for it. */
  const flying = () => inFlight.sum((from) => !suspended.has(from) && unsettled.get(from) !== 'away');
  const waitsForAll = () => [...unsettled.values()].some((why) => why !== 'away');
  const depth = () => (lastMs === null ? DEPTH.least : Math.min(DEPTH.most, Math.max(DEPTH.least, 1 + Math.ceil(WAITING_MS / lastMs))));
  const full = () => accepted + flying() >= wanted;
  const done = () => stopping || fatal !== undefined || (accepted >= wanted && flying() === 0 && !waitsForAll());

  function ended(key: AttemptKey, shard: Shard | null, end: AttemptEnd | { state: 'accepted' }): void {
    if (end.state === 'accepted') accepted += 1;
    ports.onChange({ type: 'ended', shard, key, end });
  }

  /** An error that is not one shard's: a network's fault ends work for it, a lost one and a full disk are waited out, anything else ends the loop. */
  function note(thrown: unknown, from: ConnectedNetwork): void {
    const error = asHearthlendError(thrown);
    const reason = networkFault(from, error);
    if (reason !== null) {
      suspended.add(from);
      ports.onChange({ type: 'fault', network: from.info.id, reason, error });
      // Somebody waits for a number of shards that nobody is left to give.
      if (Number.isFinite(wanted) && ports.networks.every((each) => suspended.has(each))) fatal = error;
    } else if (isAway(error)) {
      ports.onChange({ type: 'no-work', network: from.info.id, reason: ref('reason.network-unreachable', { network: from.info.id }) });
      if (unsettled.get(from) !== 'disk-full') unsettled.set(from, 'away');
      retryIn(from, Math.min(FIRST_RETRY_MS * 2 ** failures.of(from), LONGEST_RETRY_MS));
      failures.add(from, 1);
    } else if (error.code === 'DISK_FULL') {
      unsettled.set(from, 'disk-full');
      ports.onChange({ type: 'fault', network: null, reason: ref('reason.disk-full'), error });
    } else fatal = error;
    rest.wake();
  }

  /** Asks the networks in the order of preference, and fetches what the first shard needs. Null where there is none now. */
  async function acquire(): Promise<ReadyShard | null> {
    const inOrder: readonly Ask[] = ports.order?.(practice) ?? ports.networks.map((from) => ({ from, practice }));
    for (const [at, { from, practice: withPractice, took }] of inOrder.entries()) {
      if (suspended.has(from) || unsettled.has(from)) continue;
      let leased = false;
      try {
        const asksAgain = inOrder.some((ask, later) => later > at && ask.from === from);
        const reply = await askForLease(ports, from, withPractice, asksAgain);
        if (reply.lease === null) {
          clearTimeout(retryTimers.get(from));
          if (reply.retryMs !== null) retryIn(from, reply.retryMs);
          continue;
        }
        leased = true;
        inFlight.add(from, 1);
        inHand.add(from, 1);
        if (took !== undefined) ports.onChange({ type: 'took', shard: reply.lease.shard, reason: took });
        const ready = await fetchShard(ports, from, reply.lease);
        if (ready !== null) return ready;
        inFlight.add(from, -1);
        inHand.add(from, -1);
        rest.wake();
      } catch (thrown) {
        if (leased) inHand.add(from, -1);
        note(thrown, from);
      }
    }
    return null;
  }

  /** Asks again, or puts in order what is open, whichever it is that waits. */
  function retryIn(from: ConnectedNetwork, ms: number): void {
    clearTimeout(retryTimers.get(from));
    retryTimers.set(
      from,
      setTimeout(() => {
        settleAway(from);
        rest.wake();
      }, ms),
    );
  }

  function compute(ready: ReadyShard): void {
    const abort = new AbortController();
    const run: Running = {
      from: ready.from,
      key: ready.key,
      abort,
      begunAt: null,
      stage: isStage(ready.lease.shard),
      ended: Promise.resolve(),
    };
    running.add(run);
    run.ended = computeOne(ready, run).finally(() => {
      running.delete(run);
      if (!moreComes()) gathered();
      // Whoever waits for the rest may go on with this one's worker.
      rest.wake();
    });
  }

  async function allEnded(): Promise<void> {
    await Promise.all([...running].map((run) => run.ended));
  }

  async function allDelivered(): Promise<void> {
    await Promise.all(deliveries.values());
  }

  function abortAll(reason: AbortReason): void {
    for (const { abort } of running) abort.abort(reason);
  }

  /** What its worker hasn't come to goes back unused. */
  function abortWaiting(reason: AbortReason): void {
    for (const { abort, begunAt } of running) if (begunAt === null) abort.abort(reason);
  }

  /** A stage may wait for others for ever: nobody waits for its end. */
  function abortStages(reason: AbortReason): void {
    for (const { abort, stage } of running) if (stage) abort.abort(reason);
  }

  async function computeOne(ready: ReadyShard, run: Running): Promise<void> {
    const { from } = ready;
    const { abort } = run;
    try {
      const result = await runShard(ports, ready, abort, {
        onBegin() {
          run.begunAt = performance.now();
        },
        onHeartbeatError: (thrown) => note(thrown, from),
      });
      if (run.begunAt !== null && !run.stage) lastMs = performance.now() - run.begunAt;
      handIn(result);
    } catch (thrown) {
      const error = asHearthlendError(thrown);
      // What can't be recorded now is put in order when there is room.
      if (error.code === 'DISK_FULL') {
        inHand.add(from, -1);
        note(thrown, from);
      } else {
        await handBack(ready, { thrown, aborted: abort.signal.aborted ? (abort.signal.reason as AbortReason) : undefined });
        if (error.code === 'WORKER_BACKING_OFF') await backOff(error);
      }
    }
  }

  async function handBack(ready: ReadyShard, why: { thrown: unknown; aborted?: AbortReason | undefined }): Promise<void> {
    const { from } = ready;
    try {
      const end = await giveBack(ports, ready, why);
      inFlight.add(from, -1);
      ended(ready.key, ready.lease.shard, end);
    } catch (thrown) {
      note(thrown, from);
    }
    inHand.add(from, -1);
    settleAway(from);
  }

  /** The worker broke too often: nothing is leased until it may be started again. */
  async function backOff({ params }: HearthlendError): Promise<void> {
    abortWaiting('stopped');
    await dropNext('stopped');
    const ms = Number(params.seconds ?? 1) * 1000;
    ports.onChange({ type: 'backing-off', until: ports.clock() + ms, failures: Number(params.count ?? 0) });
    await restFor(ms);
  }

  /** Waits, unless there is nothing more to wait for. */
  async function restFor(ms: number): Promise<void> {
    const until = performance.now() + ms;
    for (let left = ms; left > 0 && !done(); left = until - performance.now()) await rest.until(left);
  }

  /** Queues a result behind those before it: receipts are recorded in the order in which they are assigned. */
  function handIn(result: FreshResult): void {
    delivering += 1;
    deliveringBytes += result.bytes.byteLength;
    fresh.push(result);
    const { from } = result;
    if (fresh.length >= GATHER.results) gathered();
    inTurn(from, () => gather().then(() => deliverFresh(from)));
  }

  /** Waits for further results where some will be there in a moment. */
  async function gather(): Promise<void> {
    await turn();
    if (fresh.length === 0 || fresh.length >= GATHER.results || lastMs === null || lastMs > GATHER.shardMs || !moreComes()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    gathered = resolve;
    const timer = setTimeout(resolve, GATHER.ms);
    await promise;
    clearTimeout(timer);
  }

  /** One after the other for each network; none waits for another's. */
  function inTurn(from: ConnectedNetwork, work: () => Promise<void>): void {
    deliveries.set(from, (deliveries.get(from) ?? Promise.resolve()).then(work));
  }

  /** What has come meanwhile goes in together. */
  async function deliverFresh(from: ConnectedNetwork): Promise<void> {
    const group = fresh.filter((result) => result.from === from);
    fresh = fresh.filter((result) => result.from !== from);
    if (group.length === 0) return;
    const open = new Set(group);
    try {
      // A receipt before this one is not recorded yet, so this one's could not be either: settling sends it again.
      if (suspended.has(from) || unsettled.get(from) === 'away') await keepGroup(ports, outputs, group);
      else if (!unsettled.has(from)) {
        await deliverGroup(ports, outputs, group, (result, end) => {
          open.delete(result);
          inFlight.add(from, -1);
          ended(result.key, result.shard, end);
        });
      }
      // A receipt that comes before theirs is to be taken up first.
      if (open.size > 0 && !unsettled.has(from) && !suspended.has(from)) unsettled.set(from, 'away');
    } catch (thrown) {
      note(thrown, from);
    }
    if (!unsettled.has(from)) inFlight.add(from, -open.size);
    inHand.add(from, -group.length);
    delivering -= group.length;
    deliveringBytes -= group.reduce((bytes, result) => bytes + result.bytes.byteLength, 0);
    settleAway(from);
    rest.wake();
  }

  /** The shard that was fetched ahead goes back unused, and what networks have lent ahead of that. */
  async function dropNext(aborted: 'paused' | 'stopped'): Promise<void> {
    // Nobody waits for the networks' words.
    for (const { network } of ports.networks) network.dropAhead?.(aborted).catch(() => undefined);
    const ahead = next;
    next = undefined;
    const ready = await ahead;
    if (ready == null) return;
    ready.model.release();
    await handBack(ready, { thrown: undefined, aborted });
  }

  /** With nothing under way, closes what is open with each network that everybody waits for: at the start after a crash, later after a full disk. */
  async function settleAll(): Promise<void> {
    await dropNext('stopped');
    await allDelivered();
    const waitedFor = [...unsettled].filter(([, why]) => why !== 'away');
    for (const [from] of waitedFor) await settle(from);
    if (waitsForAll()) await restFor(RETRY_MS);
    else if (waitedFor.some(([, why]) => why === 'disk-full')) ports.onChange({ type: 'fault', network: null, reason: null, error: null });
  }

  /** Closes what is open with a network, of which nothing is under way. */
  async function settle(from: ConnectedNetwork): Promise<void> {
    try {
      const settled = suspended.has(from) ? [] : await recover(ports, outputs, from);
      if (settledOnce.has(from)) for (const { key, end } of settled) ended(key, null, end);
      if (!suspended.has(from)) await signBatches(ports, from);
      settledOnce.add(from);
      unsettled.delete(from);
      failures.clear(from);
    } catch (thrown) {
      note(thrown, from);
      // A network that proved wrong is out; what is open with it stays open.
      if (suspended.has(from)) unsettled.delete(from);
    }
    if (!unsettled.has(from)) inFlight.clear(from);
  }

  /** Tries a network that was away, while the others go on. */
  function settleAway(from: ConnectedNetwork): void {
    if (unsettled.get(from) !== 'away' || settling.has(from) || inHand.of(from) > 0 || stopping) return;
    settling.set(
      from,
      settle(from).finally(() => {
        settling.delete(from);
        rest.wake();
      }),
    );
  }

  async function step(): Promise<void> {
    if (running.size > 0 && (waitsForAll() || paused)) {
      abortWaiting(paused ? 'paused' : 'stopped');
      abortStages(paused ? 'paused' : 'stopped');
      await allEnded();
      return;
    }
    if (waitsForAll()) {
      await settleAll();
      return;
    }
    if (paused) {
      await dropNext('paused');
      ports.onChange({ type: 'idle' });
      await rest.until(null);
      return;
    }
    const laned = inLanes();
    if (laned.length >= depth() * ports.lanes()) {
      await Promise.race(laned.map((run) => run.ended));
      return;
    }
    if (delivering >= MAX_DELIVERIES || deliveringBytes > MAX_DELIVERY_BYTES) {
      await rest.until(null);
      return;
    }
    const ahead = next;
    next = undefined;
    const ready = await (ahead ?? (full() ? null : acquire()));
    // Asked long ago: what has come since may have woken somebody else.
    if (ready === null && ahead !== undefined) return;
    if (ready === null) {
      // All that is wanted is on its way: that is no idling.
      if (!full() && running.size === 0) ports.onChange({ type: 'idle' });
      if (!waitsForAll() && !done()) await rest.until(null);
      return;
    }
    if (paused || stopping) {
      next = Promise.resolve(ready);
      return;
    }
    // The worker first: what comes before and after it has the time that it computes.
    compute(ready);
    const more = inLanes().length < depth() * ports.lanes() || (lastMs !== null && lastMs <= SHORT_MS);
    if (!full() && more) next = turn().then(() => (paused || stopping ? null : acquire()));
  }

  async function leave(): Promise<void> {
    await dropNext('stopped');
    await allDelivered();
    await Promise.all(settling.values());
    await Promise.all(ports.networks.map(part));
  }

  /** Signs what is still to be signed with a network that is left. */
  async function part(from: ConnectedNetwork): Promise<void> {
    if (suspended.has(from) || unsettled.has(from)) return;
    await signBatches(ports, from, { leaving: true }).catch((thrown: unknown) => note(thrown, from));
  }

  /** @param why what a crash left open with it is put in order first: by itself, or at the start before everything else */
  function take(from: ConnectedNetwork, why: 'start' | 'away'): void {
    unsettled.set(from, why);
    unsubscribe.set(
      from,
      from.network.subscribe((event) => {
        if (event.type === 'work') {
          settleAway(from);
          rest.wake();
        }
        if (event.type === 'batch') {
          inTurn(from, () =>
            unsettled.has(from) || suspended.has(from)
              ? Promise.resolve()
              : signBatches(ports, from).catch((thrown: unknown) => note(thrown, from)),
          );
        }
        if (event.type === 'revoked') {
          const revoked = [...running].find(
            (run) => run.from === from && run.key.shardId === event.shardId && run.key.attempt === event.attempt,
          );
          revoked?.abort.abort('revoked' satisfies AbortReason);
        }
      }),
    );
    settleAway(from);
    rest.wake();
  }

  /** Nothing more is heard of it. */
  function forget(from: ConnectedNetwork): void {
    unsubscribe.get(from)?.();
    unsubscribe.delete(from);
    clearTimeout(retryTimers.get(from));
    retryTimers.delete(from);
  }

  return {
    async run(options) {
      wanted = options.shards ?? Number.POSITIVE_INFINITY;
      practice = options.practice;
      for (const from of ports.networks) take(from, 'start');
      try {
        while (!done()) await step();
        if (fatal !== undefined) abortAll('stopped');
        await allEnded();
        if (fatal === undefined) await leave();
      } finally {
        for (const from of [...unsubscribe.keys()]) forget(from);
      }
      if (fatal !== undefined) throw fatal;
    },
    pause({ finish } = { finish: false }) {
      paused = true;
      if (!finish) abortAll('paused');
      // Another may have it meanwhile.
      else if (running.size > 0) {
        abortWaiting('paused');
        abortStages('paused');
        void dropNext('paused');
      }
      rest.wake();
    },
    resume() {
      paused = false;
      rest.wake();
    },
    stop(now) {
      stopping = true;
      if (now) abortAll('stopped');
      else {
        abortWaiting('stopped');
        abortStages('stopped');
      }
      rest.wake();
    },
    wake: () => rest.wake(),
    add: (from) => take(from, 'away'),
    async remove(from) {
      const wrong = suspended.has(from);
      const away = unsettled.has(from);
      // Nothing more is asked of it, and what comes now is kept without handing it in.
      suspended.add(from);
      const own = [...running].filter((run) => run.from === from);
      for (const { abort } of own) abort.abort('stopped' satisfies AbortReason);
      const ahead = next;
      if ((await ahead)?.from === from && next === ahead) await dropNext('stopped');
      await Promise.all(own.map((run) => run.ended));
      await deliveries.get(from);
      await settling.get(from);
      if (!wrong && !away) await signBatches(ports, from, { leaving: true }).catch(() => undefined);
      forget(from);
      for (const state of [unsettled, settledOnce, suspended, deliveries]) state.delete(from);
      for (const counts of [inFlight, inHand, failures]) counts.clear(from);
      rest.wake();
    },
  };
}

function isStage(shard: Shard): boolean {
  return shard.kind === 'onnx.generate' && shard.stage !== undefined;
}

/** A number for each network; 0 where there is none. */
class Counts {
  readonly #counts = new Map<ConnectedNetwork, number>();

  of(from: ConnectedNetwork): number {
    return this.#counts.get(from) ?? 0;
  }

  add(from: ConnectedNetwork, change: number): void {
    this.#counts.set(from, this.of(from) + change);
  }

  clear(from: ConnectedNetwork): void {
    this.#counts.delete(from);
  }

  sum(counted: (from: ConnectedNetwork) => boolean): number {
    let sum = 0;
    for (const [from, count] of this.#counts) if (counted(from)) sum += count;
    return sum;
  }
}
