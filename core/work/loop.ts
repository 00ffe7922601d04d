import { asHearthlendError, type HearthlendError } from '../contract/errors.ts';
import { type MessageRef, ref } from '../contract/messages.ts';
import { type Lease, unitsOf } from '../contract/shard.ts';
import { type Delivery, deliver, networkFault, signBatches } from './deliver.ts';
import { createOutputs } from './outputs.ts';
import type { AttemptEnd, AttemptKey, ConnectedNetwork, HeldModel, WorkPorts } from './ports.ts';
import { recover } from './recover.ts';

/** Results on their way to a network at once; computing waits beyond that. */
const MAX_DELIVERIES = 4;
/** How long to wait before asking again after an error that may pass (a full disk, a lost connection). */
const RETRY_MS = 5000;

/** A leased shard with everything on this machine that its run needs. */
interface ReadyShard {
  from: ConnectedNetwork;
  lease: Lease;
  key: AttemptKey;
  model: HeldModel;
  inputs: Uint8Array;
}

export interface WorkLoop {
  /** Runs until stopped or until `shards` are accepted. Rejects only where going on would lose or falsify records. */
  run(options: { shards: number | null; practice: boolean }): Promise<void>;
  /** Kills what runs and hands it back; nothing is leased until `resume`. */
  pause(): Promise<void>;
  resume(): void;
  /** Ends `run`: after the shard that runs is handed in, or at once. */
  stop(now: boolean): void;
}

type AbortReason = 'paused' | 'stopped' | 'revoked' | 'expired';

/** Lease → fetch → run → spool → submit → accept, with the next shard fetched while one runs and results handed in behind it, in order. */
export function createWorkLoop(ports: WorkPorts): WorkLoop {
  const outputs = createOutputs(ports);
  let paused = false;
  let stopping: 'no' | 'after-shard' | 'now' = 'no';
  let wanted = Number.POSITIVE_INFINITY;
  let practice = true;
  let accepted = 0;
  /** Attempts leased and not ended yet: they may still be accepted, so they count towards `wanted`. */
  let inFlight = 0;
  let current: { key: AttemptKey; abort: AbortController } | undefined;
  let next: Promise<ReadyShard | undefined> | undefined;
  let deliveries: Promise<void> = Promise.resolve();
  let delivering = 0;
  let fatal: HearthlendError | undefined;
  const suspended = new Set<ConnectedNetwork>();
  let wakeUp: () => void = () => undefined;
  let woken = false;

  function wake(): void {
    woken = true;
    wakeUp();
  }

  /** Waits for `wake` or `ms`. A wake that came before the wait counts. */
  async function rest(ms: number | null): Promise<void> {
    if (!woken) {
      await new Promise<void>((resolve) => {
        const timer = ms === null ? undefined : setTimeout(resolve, ms);
        wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    woken = false;
    wakeUp = () => undefined;
  }

  const full = () => accepted + inFlight >= wanted;
  const done = () => stopping !== 'no' || fatal !== undefined || (accepted >= wanted && inFlight === 0);
  let retryTimer: NodeJS.Timeout | undefined;

  function ended(lease: Lease | null, key: AttemptKey, end: AttemptEnd | { state: 'accepted' }): void {
    inFlight -= 1;
    if (end.state === 'accepted') accepted += 1;
    ports.onChange({ type: 'ended', shard: lease?.shard ?? null, key, end });
    wake();
  }

  function fault(from: ConnectedNetwork | null, reason: MessageRef | null): void {
    if (from !== null && reason !== null) suspended.add(from);
    ports.onChange({ type: 'fault', network: from?.info.id ?? null, reason });
  }

  /** An error outside any one shard: what can pass is shown and retried, what can't ends the loop. */
  function note(thrown: unknown, from: ConnectedNetwork | null): void {
    const error = asHearthlendError(thrown);
    const network = from === null ? undefined : networkFault(from, error);
    if (network !== undefined) {
      fault(from, network);
      // Somebody waits for a number of shards that nobody is left to give.
      if (Number.isFinite(wanted) && suspended.size === ports.networks.length) fatal = error;
    } else if (error.code === 'DISK_FULL') fault(null, ref('reason.disk-full'));
    else fatal = error;
    wake();
  }

  /** Asks the networks in turn for a shard, and fetches what it needs. Undefined where there is none now. */
  async function acquire(): Promise<ReadyShard | undefined> {
    for (const from of ports.networks) {
      if (suspended.has(from)) continue;
      if (!from.admitted()) {
        ports.onChange({ type: 'no-work', network: from.info.id, reason: ref('reason.isolation-refused', { network: from.info.id }) });
        continue;
      }
      const reply = await from.network.lease({
        isolation: ports.isolation(),
        warmModels: ports.warmModels(),
        memoryBytes: ports.memoryBytes,
        practice,
      });
      if (reply.type === 'no-work') {
        ports.onChange({ type: 'no-work', network: from.info.id, reason: reply.reason });
        if (reply.retryMs !== null) {
          clearTimeout(retryTimer);
          retryTimer = setTimeout(wake, reply.retryMs);
        }
        continue;
      }
      ports.onChange({ type: 'no-work', network: from.info.id, reason: null });
      const ready = await fetchShard(from, reply.lease);
      if (ready !== undefined) return ready;
    }
    return undefined;
  }

  async function fetchShard(from: ConnectedNetwork, lease: Lease): Promise<ReadyShard | undefined> {
    const key = { network: from.info.id, shardId: lease.shard.id, attempt: lease.attempt };
    ports.journal.leased(lease);
    inFlight += 1;
    let model: HeldModel | undefined;
    try {
      model = await ports.holdModel(from.network, lease.shard.model);
      const inputs = await ports.fetchInputs(from.network, lease.shard.inputs);
      ports.journal.fetched(key);
      return { from, lease, key, model, inputs };
    } catch (thrown) {
      model?.release();
      await giveBack(from, lease, key, thrown);
      return undefined;
    }
  }

  /** Ends an attempt that brought no result: recorded here, and the network may lend it to another at once. */
  async function giveBack(from: ConnectedNetwork, lease: Lease, key: AttemptKey, thrown: unknown, aborted?: AbortReason): Promise<void> {
    const error = asHearthlendError(thrown);
    const end = endOf(error, aborted);
    ports.journal.ended(key, end);
    if (end.state === 'released') await from.network.release(key.shardId, key.attempt, releaseReason(end.code), null);
    else if (end.state === 'failed')
      await from.network.release(key.shardId, key.attempt, crashed(error) ? 'crashed' : 'failed', end.code, error.params);
    ended(lease, key, end);
  }

  async function computeShard(ready: ReadyShard): Promise<void> {
    const { from, lease, key } = ready;
    const { shard } = lease;
    const abort = new AbortController();
    current = { key, abort };
    // Renewed by heartbeats: a lease ends at the network's clock, which says so in its answer.
    const heartbeat = setInterval(
      () => {
        from.network.progress(key.shardId, key.attempt, null).then(
          (held) => {
            if (!held) abort.abort('expired' satisfies AbortReason);
          },
          (thrown: unknown) => note(thrown, from),
        );
      },
      Math.max(250, Math.floor(lease.leaseMs / 3)),
    );
    try {
      ports.journal.running(key);
      ports.onChange({ type: 'started', shard, attempt: lease.attempt, inputs: ready.inputs });
      const result = await ports.compute(
        { shard, model: ready.model, inputs: ready.inputs },
        {
          signal: abort.signal,
          onToken: (token, index) => ports.onChange({ type: 'token', shard, attempt: lease.attempt, token, index }),
        },
      );
      const facts = {
        commitment: result.commitment,
        outputBytes: result.outputs.byteLength,
        units: unitsOf(shard, result.tokensMade),
        runMs: result.runMs,
      };
      await outputs.keep(result.commitment, result.outputs, () => ports.journal.computed(key, facts));
      ports.onChange({ type: 'computed', shard, attempt: lease.attempt });
      handIn(lease, { from, key, submission: { shardId: shard.id, attempt: lease.attempt, ...facts }, alreadySubmitted: false });
    } catch (thrown) {
      const reason = abort.signal.aborted ? (abort.signal.reason as AbortReason) : undefined;
      const error = asHearthlendError(thrown);
      if (error.code === 'WORKER_BACKING_OFF') {
        const seconds = Number(error.params.seconds ?? 1);
        ports.onChange({ type: 'backing-off', until: ports.clock() + seconds * 1000, failures: Number(error.params.count ?? 0) });
        await giveBack(from, lease, key, thrown, 'stopped');
        if (next === undefined) await rest(seconds * 1000);
      } else {
        if (error.code === 'DISK_FULL') note(thrown, from);
        await giveBack(from, lease, key, thrown, error.code === 'DISK_FULL' ? 'stopped' : reason);
      }
    } finally {
      clearInterval(heartbeat);
      ready.model.release();
      current = undefined;
    }
  }

  /** Queues a result behind those before it: receipts are recorded in the order in which they are assigned. */
  function handIn(lease: Lease, delivery: Delivery): void {
    delivering += 1;
    deliveries = deliveries.then(async () => {
      for (let open = true; open; ) {
        open = false;
        try {
          ended(lease, delivery.key, await deliver(ports, outputs, delivery));
        } catch (thrown) {
          note(thrown, delivery.from);
          // A full disk may get room again; the result is safe in the spool, also for the next start.
          open = asHearthlendError(thrown).code === 'DISK_FULL' && stopping === 'no';
          if (open) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
          else inFlight -= 1;
          delivery.alreadySubmitted = ports.journal.attemptState(delivery.key) === 'submitted';
        }
      }
      delivering -= 1;
      wake();
    });
  }

  /** The shard that was fetched ahead goes back unused. */
  async function dropNext(reason: AbortReason): Promise<void> {
    const ready = await next?.catch(() => undefined);
    next = undefined;
    if (ready === undefined) return;
    ready.model.release();
    await giveBack(ready.from, ready.lease, ready.key, undefined, reason);
  }

  async function step(): Promise<void> {
    if (paused) {
      await dropNext('paused');
      ports.onChange({ type: 'idle' });
      await rest(null);
      return;
    }
    if (delivering >= MAX_DELIVERIES) {
      await rest(null);
      return;
    }
    const acquiring = next ?? (full() ? undefined : acquire());
    next = undefined;
    const ready = await acquiring;
    if (ready === undefined) {
      ports.onChange({ type: 'idle' });
      await rest(fatal === undefined && suspended.size === 0 ? null : RETRY_MS);
      return;
    }
    if (paused || stopping !== 'no') {
      next = Promise.resolve(ready);
      return;
    }
    if (!full()) {
      next = acquire();
      // Awaited by the next step; until then its error must not count as unhandled.
      next.catch(() => undefined);
    }
    await computeShard(ready);
  }

  return {
    async run(options) {
      wanted = options.shards ?? Number.POSITIVE_INFINITY;
      practice = options.practice;
      const unsubscribe = ports.networks.map((from) =>
        from.network.subscribe((event) => {
          if (event.type === 'work') wake();
          if (event.type === 'batch')
            deliveries = deliveries.then(() => signBatches(ports, from)).catch((thrown: unknown) => note(thrown, from));
          if (event.type === 'revoked' && current?.key.shardId === event.shardId && current.key.attempt === event.attempt) {
            current.abort.abort('revoked' satisfies AbortReason);
          }
        }),
      );
      try {
        for (const from of ports.networks) {
          try {
            await recover(ports, outputs, from);
            await signBatches(ports, from);
          } catch (thrown) {
            note(thrown, from);
          }
        }
        while (!done()) {
          try {
            await step();
          } catch (thrown) {
            note(thrown, null);
            if (fatal === undefined) await rest(RETRY_MS);
          }
        }
        await dropNext('stopped');
        await deliveries;
        for (const from of ports.networks)
          if (!suspended.has(from)) await signBatches(ports, from, { leaving: true }).catch((thrown: unknown) => note(thrown, from));
      } finally {
        clearTimeout(retryTimer);
        for (const each of unsubscribe) each();
      }
      if (fatal !== undefined) throw fatal;
    },
    async pause() {
      paused = true;
      current?.abort.abort('paused' satisfies AbortReason);
      wake();
    },
    resume() {
      paused = false;
      wake();
    },
    stop(now) {
      stopping = now ? 'now' : 'after-shard';
      if (now) current?.abort.abort('stopped' satisfies AbortReason);
      wake();
    },
  };
}

/** The worker broke, which says nothing of the shard yet: the network counts it apart. */
function crashed(error: HearthlendError): boolean {
  return error.code === 'WORKER_CRASHED' || error.code === 'WORKER_PROTOCOL' || error.code === 'WORKER_START_FAILED';
}

function releaseReason(code: 'paused' | 'stopped' | 'crashed' | 'restart'): 'paused' | 'stopped' | 'crashed' {
  return code === 'restart' ? 'stopped' : code;
}

/** How an attempt without a result ended: handed back where this machine was the cause, failed where the shard was. Pure. */
export function endOf(error: HearthlendError, aborted?: AbortReason): AttemptEnd {
  if (aborted === 'paused' || aborted === 'stopped') return { state: 'released', code: aborted };
  if (aborted === 'revoked') return { state: 'cancelled' };
  if (aborted === 'expired') return { state: 'expired' };
  return { state: 'failed', code: error.code, detail: JSON.stringify(error.params) };
}
