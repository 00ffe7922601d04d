import { setImmediate as turn } from 'node:timers/promises';
import { asHearthlendError, type HearthlendError } from '../contract/errors.ts';
import { ref } from '../contract/messages.ts';
import type { Shard } from '../contract/shard.ts';
import { askForLease, fetchShard, type ReadyShard } from './acquire.ts';
import { networkFault, signBatches } from './deliver.ts';
import { deliverGroup, type FreshResult } from './deliver-group.ts';
import { type AbortReason, giveBack } from './give-back.ts';
import { createOutputs } from './outputs.ts';
import type { AttemptEnd, AttemptKey, ConnectedNetwork, WorkPorts } from './ports.ts';
import { recover } from './recover.ts';
import { Rest } from './rest.ts';
import { runShard } from './run-shard.ts';

/** Results on their way to a network at once, and their bytes, which are in memory until they are durable; computing waits beyond that. */
const MAX_DELIVERIES = 16;
const MAX_DELIVERY_BYTES = 256 * 2 ** 20;
/** How long to wait before trying again what may pass: a full disk. */
const RETRY_MS = 5000;

export interface WorkLoop {
  /** Runs until stopped or until `shards` are accepted. Rejects only where going on would lose or falsify records. */
  run(options: { shards: number | null; practice: boolean }): Promise<void>;
  /** Kills what runs and hands it back, or with `finish` lets it end; nothing is leased until `resume`, and what was fetched ahead goes back now. */
  pause(options?: { finish: boolean }): void;
  resume(): void;
  /** Ends `run`: after the shard that runs is handed in, or at once. */
  stop(now: boolean): void;
}

/** A shard at its worker; `ended` when it is handed in or handed back. */
interface Running {
  key: AttemptKey;
  abort: AbortController;
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
  let inFlight = 0;
  /** What is being computed: as much as there are lanes. */
  const running = new Set<Running>();
  let next: Promise<ReadyShard | null> | undefined;
  let deliveries: Promise<void> = Promise.resolve();
  let delivering = 0;
  let deliveringBytes = 0;
  /** Computed, and not taken up by a delivery yet. */
  let fresh: FreshResult[] = [];
  let retryTimer: NodeJS.Timeout | undefined;
  /** Networks with which something is open that must be put in order before any new lease. */
  const unsettled = new Set<ConnectedNetwork>();
  /** Networks that proved wrong, and get no more work done. */
  const suspended = new Set<ConnectedNetwork>();
  let fatal: HearthlendError | undefined;
  let atStart = true;

  const full = () => accepted + inFlight >= wanted;
  const done = () => stopping || fatal !== undefined || (accepted >= wanted && inFlight === 0 && unsettled.size === 0);

  function ended(key: AttemptKey, shard: Shard | null, end: AttemptEnd | { state: 'accepted' }): void {
    if (end.state === 'accepted') accepted += 1;
    ports.onChange({ type: 'ended', shard, key, end });
  }

  /** An error that is not one shard's: a network's fault ends work for it, a full disk is waited out, anything else ends the loop. */
  function note(thrown: unknown, from: ConnectedNetwork): void {
    const error = asHearthlendError(thrown);
    const reason = networkFault(from, error);
    if (reason !== null) {
      suspended.add(from);
      ports.onChange({ type: 'fault', network: from.info.id, reason, error });
      // Somebody waits for a number of shards that nobody is left to give.
      if (Number.isFinite(wanted) && suspended.size === ports.networks.length) fatal = error;
    } else if (error.code === 'DISK_FULL') {
      unsettled.add(from);
      ports.onChange({ type: 'fault', network: null, reason: ref('reason.disk-full'), error });
    } else fatal = error;
    rest.wake();
  }

  /** Asks the networks in turn, and fetches what the first shard needs. Null where there is none now. */
  async function acquire(): Promise<ReadyShard | null> {
    for (const from of ports.networks) {
      if (suspended.has(from) || unsettled.has(from)) continue;
      try {
        const reply = await askForLease(ports, from, practice);
        if (reply.lease === null) {
          clearTimeout(retryTimer);
          if (reply.retryMs !== null) retryTimer = setTimeout(() => rest.wake(), reply.retryMs);
          continue;
        }
        inFlight += 1;
        const ready = await fetchShard(ports, from, reply.lease);
        if (ready !== null) return ready;
        inFlight -= 1;
        rest.wake();
      } catch (thrown) {
        note(thrown, from);
      }
    }
    return null;
  }

  function compute(ready: ReadyShard): void {
    const abort = new AbortController();
    const run: Running = { key: ready.key, abort, ended: Promise.resolve() };
    running.add(run);
    run.ended = computeOne(ready, abort).finally(() => {
      running.delete(run);
      // Whoever waits for the rest may go on with this one's worker.
      if (ports.lanes() > 1) rest.wake();
    });
  }

  async function allEnded(): Promise<void> {
    await Promise.all([...running].map((run) => run.ended));
  }

  function abortAll(reason: AbortReason): void {
    for (const { abort } of running) abort.abort(reason);
  }

  async function computeOne(ready: ReadyShard, abort: AbortController): Promise<void> {
    const { from } = ready;
    try {
      handIn(await runShard(ports, ready, abort, (thrown) => note(thrown, from)));
    } catch (thrown) {
      const error = asHearthlendError(thrown);
      // What can't be recorded now is put in order when there is room.
      if (error.code === 'DISK_FULL') note(thrown, from);
      else {
        await handBack(ready, { thrown, aborted: abort.signal.aborted ? (abort.signal.reason as AbortReason) : undefined });
        if (error.code === 'WORKER_BACKING_OFF') await backOff(error);
      }
    }
  }

  async function handBack(ready: ReadyShard, why: { thrown: unknown; aborted?: AbortReason | undefined }): Promise<void> {
    try {
      const end = await giveBack(ports, ready, why);
      inFlight -= 1;
      ended(ready.key, ready.lease.shard, end);
    } catch (thrown) {
      note(thrown, ready.from);
    }
  }

  /** The worker broke too often: nothing is leased until it may be started again. */
  async function backOff({ params }: HearthlendError): Promise<void> {
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
    deliveries = deliveries.then(() => turn()).then(deliverFresh);
  }

  /** What has come meanwhile goes in together. */
  async function deliverFresh(): Promise<void> {
    const results = fresh;
    fresh = [];
    for (const from of new Set(results.map((result) => result.from))) {
      const group = results.filter((result) => result.from === from);
      const open = new Set(group);
      // A receipt before this one is not recorded yet, so this one's could not be either: settling sends it again.
      if (!unsettled.has(from) && !suspended.has(from)) {
        try {
          await deliverGroup(ports, outputs, group, (result, end) => {
            open.delete(result);
            inFlight -= 1;
            ended(result.key, result.shard, end);
          });
        } catch (thrown) {
          note(thrown, from);
        }
      }
      if (!unsettled.has(from)) inFlight -= open.size;
      delivering -= group.length;
      deliveringBytes -= group.reduce((bytes, result) => bytes + result.bytes.byteLength, 0);
    }
    rest.wake();
  }

  /** The shard that was fetched ahead goes back unused. */
  async function dropNext(aborted: AbortReason): Promise<void> {
    const ahead = next;
    next = undefined;
    const ready = await ahead;
    if (ready == null) return;
    ready.model.release();
    await handBack(ready, { thrown: undefined, aborted });
  }

  /** With nothing under way, closes what is open with each unsettled network: at the start after a crash, later after a full disk. */
  async function settle(): Promise<void> {
    await dropNext('stopped');
    await deliveries;
    for (const from of unsettled) {
      try {
        const settled = suspended.has(from) ? [] : await recover(ports, outputs, from);
        if (!atStart) for (const { key, end } of settled) ended(key, null, end);
        unsettled.delete(from);
        if (!suspended.has(from)) await signBatches(ports, from);
      } catch (thrown) {
        note(thrown, from);
        // A network that proved wrong is out; what is open with it stays open.
        if (suspended.has(from)) unsettled.delete(from);
      }
    }
    inFlight = 0;
    if (unsettled.size > 0) await restFor(RETRY_MS);
    else if (!atStart) ports.onChange({ type: 'fault', network: null, reason: null, error: null });
    atStart = false;
  }

  async function step(): Promise<void> {
    if (running.size > 0 && (unsettled.size > 0 || paused)) {
      await allEnded();
      return;
    }
    if (unsettled.size > 0) {
      await settle();
      return;
    }
    if (paused) {
      await dropNext('paused');
      ports.onChange({ type: 'idle' });
      await rest.until(null);
      return;
    }
    if (running.size >= ports.lanes()) {
      await Promise.race([...running].map((run) => run.ended));
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
      if (unsettled.size === 0 && !done()) await rest.until(null);
      return;
    }
    if (paused || stopping) {
      next = Promise.resolve(ready);
      return;
    }
    // The worker first: what comes before and after it has the time that it computes.
    if (!full()) next = turn().then(() => (paused || stopping ? null : acquire()));
    compute(ready);
  }

  async function leave(): Promise<void> {
    await dropNext('stopped');
    await deliveries;
    for (const from of ports.networks) {
      if (suspended.has(from) || unsettled.has(from)) continue;
      await signBatches(ports, from, { leaving: true }).catch((thrown: unknown) => note(thrown, from));
    }
  }

  return {
    async run(options) {
      wanted = options.shards ?? Number.POSITIVE_INFINITY;
      practice = options.practice;
      // What a crash left open with each of them.
      for (const from of ports.networks) unsettled.add(from);
      const unsubscribe = ports.networks.map((from) =>
        from.network.subscribe((event) => {
          if (event.type === 'work') rest.wake();
          if (event.type === 'batch') {
            deliveries = deliveries.then(() => signBatches(ports, from)).catch((thrown: unknown) => note(thrown, from));
          }
          if (event.type === 'revoked') {
            const revoked = [...running].find(({ key }) => key.shardId === event.shardId && key.attempt === event.attempt);
            revoked?.abort.abort('revoked' satisfies AbortReason);
          }
        }),
      );
      try {
        while (!done()) await step();
        if (fatal !== undefined) abortAll('stopped');
        await allEnded();
        if (fatal === undefined) await leave();
      } finally {
        clearTimeout(retryTimer);
        for (const each of unsubscribe) each();
      }
      if (fatal !== undefined) throw fatal;
    },
    pause({ finish } = { finish: false }) {
      paused = true;
      if (!finish) abortAll('paused');
      // Another may have it meanwhile.
      else if (running.size > 0) void dropNext('paused');
      rest.wake();
    },
    resume() {
      paused = false;
      rest.wake();
    },
    stop(now) {
      stopping = true;
      if (now) abortAll('stopped');
      rest.wake();
    },
  };
}
