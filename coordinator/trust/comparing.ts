import { ModelManifest } from '../../core/contract/model.ts';
import type { Address } from '../../core/contract/receipt.ts';
import type { Shard } from '../../core/contract/shard.ts';
import type { Context } from '../context.ts';
import { holderOf } from '../holding.ts';
import { refusalOf } from '../leasing/demand.ts';
import { expectedMs, fetchMs } from '../leasing/pace.ts';
import type { Applied, AttemptKey, ShardRecord } from '../store.ts';
import type { Claim } from './auditor.ts';
import { copyOf } from './canaries.ts';
import { isTrusted } from './reputation.ts';
import { type Claimant, deviceOf, secondsFor } from './seconds.ts';
import type { Twin, TwinVerdict } from './twins.ts';

/** How long one machine has to take a twin before it is another's, and how many are asked. */
const OFFER_MS = 4000;
const OFFERS = 3;
/** A second answer is waited for this many times what the shard should take, and this much more. */
const ANSWER_FACTOR = 3;
const ANSWER_GRACE_MS = 5000;
/** What a shard takes of which nothing is known. */
const UNKNOWN_MS = 5000;
/** One call of the first worker waits no longer than this; it comes again. Less than any transport's patience, with room for the reference. */
const CALL_MS = 40_000;
/** How often a second worker's patience is looked at. */
const LOOK_MS = 1000;
/** Machines that are looked at for one twin. */
const LOOK_AT = 64;
/** Twins that nobody took, and whose audit nobody waits for any more: a coordinator died. */
const STALE_MS = 600_000;

/** Has an audit done by a second worker. */
export interface Comparing {
  /**
   * What came of it. Null where no second worker could be had in time; `postponed` where it isn't known yet, and the result is to be sent again.
   * @param signal aborted where nobody can wait any longer
   */
  opinion(claim: Claim, signal: AbortSignal): Promise<TwinVerdict | 'postponed' | null>;
  /** Takes back what a crash left. */
  tidy(): Promise<void>;
  close(): void;
}

/** @param offerMs how long one machine has to take a twin; 0: nobody is asked */
export function createComparing(context: Context, offerMs = OFFER_MS): Comparing {
  const { store, blobs, holding, clock, monotonic, log, random } = context;
  const awaited = new Map<string, PromiseWithResolvers<void>>();
  /** Since when somebody has a twin, by this coordinator's steady clock. */
  const heldSince = new Map<string, number>();
  const unfollow = store.onApplied((applied) => {
    // Each coordinator tells, once it can lend it: whichever is asked then knows of it.
    if (applied.name === 'issueTwin' && applied.result === applied.args[0].shard.id)
      context.emit({ type: 'work' }, applied.args[1].offered);
    if (applied.name === 'offerTwin' && applied.result) context.emit({ type: 'work' }, applied.args[2]);
    if (awaited.size === 0) return;
    for (const id of shardsOf(applied)) {
      awaited.get(id)?.resolve();
      awaited.delete(id);
    }
  });

  /** Resolves with the next change to this shard. */
  function moved(shardId: string): Promise<void> {
    const known = awaited.get(shardId) ?? Promise.withResolvers<void>();
    awaited.set(shardId, known);
    return known.promise;
  }

  /** Somebody of the same kind, by lot: whoever asks first might be who wants to be asked. Null where there is nobody. */
  async function pick(claimant: Claimant, source: Shard, tried: readonly Address[]): Promise<Address | null> {
    const line = await store.lineOf(source.id);
    if (line === null) return null;
    const known = new Set([...tried, ...(await store.attemptsOf(source.id)).map(({ worker }) => worker)]);
    const pool = secondsFor(claimant, context.machines.askers());
    for (let looked = 0; looked < LOOK_AT && pool.length > 0; looked += 1) {
      const [each] = pool.splice(Math.floor(random() * pool.length), 1);
      if (each === undefined || known.has(each.address)) continue;
      const { suspendedUntil, ...reputation } = store.standing(each.address);
      // Nobody's word counts who has not proven anything; and of two that wait for each other neither would hand in anything.
      if (!isTrusted(reputation) || (suspendedUntil ?? 0) > clock() || store.waitsForTwin(each.address)) continue;
      if (refusalOf(line.demand, each.request, context.money) === null) return each.address;
    }
    return null;
  }

  function claimantOf({ attempt, record: { shard }, submission }: Claim): Claimant {
    const backend = submission.backend ?? null;
    const own = context.machines.askers().find(({ address }) => address === attempt.worker);
    const device = own === undefined || backend === null ? null : deviceOf(own.request, backend);
    return { worker: attempt.worker, payee: attempt.payee, backend, device, model: shard.model.digest };
  }

  async function issue(claim: Claim, offered: Address): Promise<Twin | null> {
    const { attempt, record, submission, outputs } = claim;
    const shard = copyOf(record.shard);
    const { files } = ModelManifest.parse(JSON.parse(new TextDecoder().decode(await blobs.read(shard.model.digest))));
    const holder = holderOf.spareShard(shard.id);
    const source: AttemptKey = { shardId: attempt.shardId, attempt: attempt.attempt };
    await holding.hold(holder, [shard.model.digest, shard.inputs.digest, submission.commitment, ...files.map(({ digest }) => digest)]);
    await blobs.putBytes(outputs);
    const copied: ShardRecord = { shard, promptTokens: record.promptTokens, state: 'queued', attempt: 0, createdAt: clock() };
    const twin = { source, worker: attempt.worker, outputs: submission.commitment, backend: submission.backend ?? null, offered };
    const id = await store.issueTwin(copied, twin);
    if (id !== shard.id) await holding.letGo(holder);
    return id === null ? null : store.twin(id);
  }

  /** How long (ms) somebody who has the twin may take. */
  async function answerMs(shard: Shard, holder: Address): Promise<number> {
    const { all } = await store.paces(holder, shard.model.digest, shard.price.unit);
    const asker = context.machines.askers().find(({ address }) => address === holder);
    const models = [...(asker?.request.warmModels ?? []), ...(asker?.request.diskModels ?? [])];
    const arrives = models.includes(shard.model.digest) ? 0 : fetchMs(null);
    return ANSWER_FACTOR * (expectedMs(shard, all) ?? UNKNOWN_MS) + arrives + ANSWER_GRACE_MS;
  }

  async function drop(shardId: string): Promise<boolean> {
    const dropped = await store.dropTwin(shardId, clock());
    if (dropped) await holding.letGo(holderOf.spareShard(shardId));
    return dropped;
  }

  async function follow(claim: Claim, first: Twin, signal: AbortSignal): Promise<TwinVerdict | 'postponed' | null> {
    const id = first.shardId;
    const { shard } = claim.record;
    const over = timer(CALL_MS);
    const tried = [first.offered];
    let offer = timer(offerMs);
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const stop = () => resolve();
    signal.addEventListener('abort', stop);
    try {
      for (;;) {
        const change = moved(id);
        const [twin, record] = [await store.twin(id), await store.shard(id)];
        if (twin?.verdict != null) return twin.verdict;
        if (twin === null || record === null || record.state === 'failed' || record.state === 'cancelled') return null;
        if (signal.aborted || over.isUp()) return 'postponed';
        if (record.state === 'queued' && offer.isUp()) {
          const next = tried.length < OFFERS ? await pick(claimantOf(claim), shard, tried) : null;
          if (next === null) {
            if (await drop(id)) return null;
          } else if (await store.offerTwin(id, twin.offered, next)) tried.push(next);
          offer = timer(offerMs);
          continue;
        }
        if (record.state === 'leased') {
          const since = heldSince.get(id) ?? monotonic();
          heldSince.set(id, since);
          if (monotonic() - since > (await answerMs(shard, twin.offered))) return null;
        }
        const look = timer(LOOK_MS);
        await Promise.race([change, over.up, ...(record.state === 'queued' ? [offer.up] : []), look.up, aborted]);
        look.stop();
      }
    } finally {
      awaited.delete(id);
      over.stop();
      offer.stop();
      signal.removeEventListener('abort', stop);
    }
  }

  /** What came of a twin, once that is known; see `opinion`. */
  async function followed(claim: Claim, twin: Twin, signal: AbortSignal): Promise<TwinVerdict | 'postponed' | null> {
    const verdict = await follow(claim, twin, signal);
    if (verdict !== 'postponed') heldSince.delete(twin.shardId);
    return verdict;
  }

  return {
    async opinion(claim, signal) {
      const { attempt } = claim;
      const known = await store.twinOf({ shardId: attempt.shardId, attempt: attempt.attempt });
      if (known !== null) return followed(claim, known, signal);
      const second = offerMs === 0 ? null : await pick(claimantOf(claim), claim.record.shard, []);
      const twin = second === null ? null : await issue(claim, second);
      if (twin === null) return null;
      log('info', 'second-asked', { shard: attempt.shardId, twin: twin.shardId, worker: twin.offered });
      return followed(claim, twin, signal);
    },
    async tidy() {
      for (const id of await store.twinsWaitingSince(clock() - STALE_MS)) await drop(id);
    },
    close: unfollow,
  };
}

/** The shards that a change is about, as far as twins are concerned. */
function shardsOf(applied: Applied): string[] {
  switch (applied.name) {
    case 'lend':
      return applied.args[0].map(({ shardId }) => shardId);
    case 'settleTwin':
    case 'dropTwin':
      return [applied.args[0]];
    case 'commit':
    case 'endAttempt':
    case 'expire':
    case 'reject':
      return [applied.args[0].shardId];
    default:
      return [];
  }
}

/** Counts down in real time, however this coordinator's clock is set. */
function timer(ms: number): { up: Promise<void>; isUp(): boolean; stop(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isUp = false;
  const timeout = setTimeout(() => {
    isUp = true;
    resolve();
  }, ms);
  return { up: promise, isUp: () => isUp, stop: () => clearTimeout(timeout) };
}
