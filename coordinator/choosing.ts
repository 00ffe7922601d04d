import { type MessageRef, ref } from '../core/contract/messages.ts';
import type { LeaseRequest } from '../core/contract/network.ts';
import type { Address } from '../core/contract/receipt.ts';
import type { Shard } from '../core/contract/shard.ts';
import type { Context } from './context.ts';
import { type Demand, mainRefusal, refusalOf, stageRefusal } from './leasing/demand.ts';
import { batchOf, costOf, expectedMs, fetchMs, leaseMsOf, type Pace } from './leasing/pace.ts';
import { AFFINITY_MS, chooseLots, type Lot } from './leasing/share.ts';
import { mayBegin } from './staging/places.ts';
import type { ShardRecord } from './store.ts';

/**
 * Kinds of work, requesters with one kind of it, and jobs of each that are looked at for one lease. Of kinds all that there are, as far as anybody can
 * tell: one that is not looked at would wait for those before it, which perhaps no machine can do.
 */
const LOOK_AT = { demands: 20_000, asks: 12, lots: 64 };
/** A job or a requester that no machine could work for is this far behind others at most (ms of each machine that works). */
const LAG_MS = 60_000;

export interface Choice {
  record: ShardRecord;
  costMs: number;
  /** ms until it should be done, those before it and the model's way included; null where nothing tells. */
  expectedMs: number | null;
  leaseMs: number;
}

/** What to lend to a machine that asks, or why nothing that waits is for it; null where nothing waits at all. */
type Chosen = { choices: Choice[]; lagMs: number } | { reason: MessageRef | null };

/** Chooses among what waits; what is on its way to the store's log is not chosen twice. */
export interface Choosing {
  choose(worker: Address, request: LeaseRequest, count: number, evenFailedHere: boolean): Promise<Chosen>;
  /** A shard that is for this machine alone, as if it had been chosen among others. */
  alone(worker: Address, request: LeaseRequest, record: ShardRecord): Promise<Choice>;
  /** Keeps these from being chosen until the log has taken them, or has not. */
  reserve(choices: readonly Choice[], lent: Promise<unknown>): void;
}

/** @param workers how many machines work, as far as this coordinator knows */
export function createChoosing({ store, origin, money, leaseBounds }: Context, workers: () => number): Choosing {
  const reserved = new Set<string>();

  async function choose(worker: Address, request: LeaseRequest, count: number, evenFailedHere: boolean): Promise<Chosen> {
    const demands = await store.waitingDemands(LOOK_AT.demands);
    const refused: Array<{ reason: MessageRef; queued: number }> = [];
    const fitting = demands.filter(({ demand, queued }) => {
      // The owner's own work is done on the owner's machine, whatever it asks; but a stage takes a place there for long.
      const reason = origin === 'own' ? stageRefusal(demand, request) : refusalOf(demand, request, money);
      if (reason !== null) refused.push({ reason, queued });
      return reason === null;
    });
    if (fitting.length === 0) return { reason: mainRefusal(refused) };
    const machines = Math.max(workers(), 1);
    const lagMs = LAG_MS * machines;
    // Of a generation that has some of its stages the others come before all else: it keeps places, and waits.
    const half = await halfBegun(
      fitting.flatMap(({ demand }) => (demand.stage === true ? [demand] : [])),
      worker,
      evenFailedHere,
    );
    if (half !== null) return { choices: [await alone(worker, request, half)], lagMs };
    const affinityOf = affinities(request);
    const affinity = new Map(fitting.map(({ id, demand }) => [id, affinityOf(demand.model)]));
    const found = await store.waitingLots(
      fitting.map(({ id }) => id),
      [...affinity].flatMap(([id, level]) => (level > 0 ? [id] : [])),
      { asks: LOOK_AT.asks, lots: Math.min(count, LOOK_AT.lots) },
      lagMs,
    );
    const paces = new Map<number, { own: Pace | null; all: Pace | null }>();
    for (const demand of new Set(found.map((lot) => lot.demand))) {
      const asked = fitting.find(({ id }) => id === demand)?.demand;
      if (asked !== undefined) paces.set(demand, await store.paces(worker, asked.model, asked.price.unit));
    }
    let lots: Lot[] = found.map((lot) => ({
      ...lot,
      costMs: costOf(paces.get(lot.demand)?.all ?? null),
      affinity: affinity.get(lot.demand) ?? 0,
    }));
    const slackMs = AFFINITY_MS * machines;
    while (lots.length > 0) {
      const [first] = chooseLots(lots, 1, slackMs);
      if (first === undefined) break;
      const known = paces.get(first.demand) ?? { own: null, all: null };
      const asked = fitting.find(({ id }) => id === first.demand)?.demand;
      // Each stage that begins may leave no room for the next.
      const most = asked?.stage === true ? 1 : batchOf(known.own, count);
      const chosen = most === 1 ? [first] : chooseLots(lots, most, slackMs);
      const arrivesMs = first.affinity > 0 ? 0 : fetchMs(asked?.modelBytes ?? null);
      const choices = await shardsOf(chosen, worker, { ...known, arrivesMs }, evenFailedHere);
      if (choices.length > 0) return { choices, lagMs };
      // What waits there is on its way to others, or failed here.
      const empty = new Set(chosen.map(({ lot }) => lot));
      lots = lots.filter(({ lot }) => !empty.has(lot));
    }
    return { reason: ref('no-work.lease-held') };
  }

  /** A stage that waits of a generation that has others, and that fits one of these demands; null where there is none. */
  async function halfBegun(stages: readonly Demand[], worker: Address, evenFailedHere: boolean): Promise<ShardRecord | null> {
    if (stages.length === 0) return null;
    for (const { jobId, begun } of await store.stagedWaiting()) {
      if (!begun) continue;
      for (const record of await store.shardsOf(jobId)) {
        const { shard, state } = record;
        const fits = stages.some(({ model, price }) => model === shard.model.digest && price.perUnit === shard.price.perUnit);
        if (state !== 'queued' || !fits || reserved.has(shard.id)) continue;
        const failed = (await store.attemptsOf(shard.id)).some(
          (each) => each.worker === worker && (each.state === 'failed' || each.state === 'rejected'),
        );
        if (!failed || evenFailedHere) return record;
      }
    }
    return null;
  }

  /** Waiting shards that are not on their way to somebody else. */
  async function freeShards(lot: number, worker: Address, wanted: number, evenFailedHere: boolean): Promise<ShardRecord[]> {
    for (let limit = wanted; ; limit *= 4) {
      const records = await store.waitingShards(lot, worker, limit, evenFailedHere);
      const free = records.filter(({ shard }) => !reserved.has(shard.id));
      if (free.length >= wanted || records.length < limit) return free;
    }
  }

  async function shardsOf(
    chosen: readonly Lot[],
    worker: Address,
    { own, all, arrivesMs }: { own: Pace | null; all: Pace | null; arrivesMs: number },
    evenFailedHere: boolean,
  ): Promise<Choice[]> {
    const waiting = new Map<number, ShardRecord[]>();
    for (const { lot } of chosen) {
      if (waiting.has(lot)) continue;
      const wanted = chosen.filter((each) => each.lot === lot).length;
      waiting.set(lot, await freeShards(lot, worker, wanted, evenFailedHere));
    }
    const choices: Choice[] = [];
    let ownMs: number | null = 0;
    let anyMs: number | null = arrivesMs;
    for (const { lot, costMs, affinity } of chosen) {
      const record = waiting.get(lot)?.shift();
      if (record === undefined || (isStage(record.shard) && !(await mayBegin(store, record.shard)))) continue;
      ownMs = plus(ownMs, expectedMs(record.shard, own));
      anyMs = plus(anyMs, expectedMs(record.shard, own ?? all));
      choices.push({ record, costMs, expectedMs: anyMs, leaseMs: leaseMsOf(ownMs, affinity > 0, leaseBounds) });
    }
    return choices;
  }

  async function alone(worker: Address, request: LeaseRequest, record: ShardRecord): Promise<Choice> {
    const { model, price } = record.shard;
    const { own, all } = await store.paces(worker, model.digest, price.unit);
    const here = affinities(request)(model.digest) > 0;
    const arrivesMs = here ? 0 : fetchMs(null);
    const ownMs = expectedMs(record.shard, own);
    const anyMs = plus(arrivesMs, expectedMs(record.shard, own ?? all));
    return { record, costMs: 0, expectedMs: anyMs, leaseMs: leaseMsOf(ownMs, here, leaseBounds) };
  }

  return {
    choose,
    alone,
    reserve(choices, lent) {
      const ids = choices.map(({ record }) => record.shard.id);
      for (const id of ids) reserved.add(id);
      const free = () => {
        for (const id of ids) reserved.delete(id);
      };
      lent.then(free, free);
    },
  };
}

/** Whether a machine has a model: loaded, on its disk, or not at all. */
function affinities({ warmModels, diskModels }: LeaseRequest): (model: string) => Lot['affinity'] {
  const warm = new Set(warmModels);
  const onDisk = new Set(diskModels);
  return (model) => (warm.has(model) ? 2 : onDisk.has(model) ? 1 : 0);
}

function plus(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}

/** One that stays with its worker for as long as a generation takes. */
function isStage(shard: Shard): boolean {
  return shard.kind === 'onnx.generate' && shard.stage !== undefined;
}
