import type { BackendName } from '../../core/contract/backends.ts';
import type { Sha256 } from '../../core/contract/digest.ts';
import { type MessageRef, ref } from '../../core/contract/messages.ts';
import { formatBaseUnits } from '../../core/contract/money.ts';
import type { LeaseRequest } from '../../core/contract/network.ts';
import type { Shard } from '../../core/contract/shard.ts';

/** What a shard's requester asks of the machine that computes it, beside what the shard itself says. */
export interface Needs {
  /** Bytes of the model's files, which have to fit where it is computed. */
  modelBytes?: number;
  /** Backends that will do; any where left out. */
  backends?: BackendName[];
  /** What the work is about, by the network's own list. */
  category?: string;
}

/** What work asks of a machine and pays: all shards that are alike in it wait in one line. */
export interface Demand {
  model: Sha256;
  modelBytes: number | null;
  backends: BackendName[] | null;
  category: string | null;
  price: Shard['price'];
  /** A stage, which stays with its worker for as long as a generation takes. */
  stage?: true;
}

/** What a worker said of its machine when it asked for work. */
export type Machine = Pick<LeaseRequest, 'memoryBytes' | 'backends' | 'floors' | 'refusedCategories' | 'stages' | 'stageBytes'>;

/** How a network's amounts are shown. */
export interface Money {
  symbol: string;
  decimals: number;
}

export function demandOf(shard: Shard, { modelBytes, backends, category }: Needs = {}): Demand {
  const { model, price } = shard;
  return {
    model: model.digest,
    modelBytes: modelBytes ?? null,
    backends: backends === undefined || backends.length === 0 ? null : [...backends].sort(),
    category: category ?? null,
    price,
    ...(shard.kind === 'onnx.generate' && shard.stage !== undefined ? { stage: true as const } : {}),
  };
}

/** Why a stage is not for this machine just now; null where it is, or this is none. */
export function stageRefusal({ stage, modelBytes }: Demand, { stages = 0, stageBytes }: Machine): MessageRef | null {
  if (stage !== true) return null;
  if (stages === 0) return ref('no-work.stages');
  const isLarge = modelBytes !== null && stageBytes !== undefined && modelBytes > stageBytes;
  return isLarge ? ref('no-work.memory', { needed: modelBytes / 1e9, room: stageBytes / 1e9 }) : null;
}

/** Why this work is not for this machine, in its user's words; null where it is. The user's own will comes first, then what the machine lacks. */
export function refusalOf(demand: Demand, machine: Machine, money: Money): MessageRef | null {
  const { category, price, modelBytes, backends } = demand;
  const noStage = stageRefusal(demand, machine);
  if (noStage !== null) return noStage;
  if (category !== null && machine.refusedCategories?.includes(category)) return ref('no-work.category', { category });
  const floor = floorOf(demand, machine);
  if (BigInt(price.perUnit) < floor) {
    const amount = (units: bigint) => formatBaseUnits(units, money.decimals);
    const params = { price: amount(BigInt(price.perUnit)), floor: amount(floor), symbol: money.symbol, unit: price.unit };
    return ref('no-work.floor', params);
  }
  const devices = machine.backends ?? [{ name: 'cpu' as const, memoryBytes: machine.memoryBytes }];
  const able = devices.filter(({ name }) => backends === null || backends.includes(name));
  if (able.length === 0) return ref('no-work.backend', { backends: (backends ?? []).join(', ') });
  const room = Math.max(...able.map(({ memoryBytes }) => memoryBytes));
  if (modelBytes !== null && modelBytes > room) return ref('no-work.memory', { needed: modelBytes / 1e9, room: room / 1e9 });
  return null;
}

/** The least that a machine works for, in base units per unit of this work; 0 where it names no price. */
export function floorOf({ price }: Pick<Demand, 'price'>, { floors = [] }: Pick<Machine, 'floors'>): bigint {
  const [most = 0n] = floors
    .filter(({ asset, unit }) => asset === price.asset && unit === price.unit)
    .map(({ perUnit }) => BigInt(perUnit))
    .sort((a, b) => (a < b ? 1 : -1));
  return most;
}

/**
 * The price per unit at which one of these machines would take work that is below all their floors. Null where one takes it as it is, and where none
 * could compute it at any price.
 */
export function priceToRun(demand: Demand, machines: readonly Machine[]): bigint | null {
  const money = { symbol: '', decimals: 0 };
  let least: bigint | null = null;
  for (const machine of machines) {
    if (refusalOf(demand, { ...machine, floors: [] }, money) !== null) continue;
    const floor = floorOf(demand, machine);
    if (floor <= BigInt(demand.price.perUnit)) return null;
    if (least === null || floor < least) least = floor;
  }
  return least;
}

/** Of the reasons for which waiting work is not for a machine, the one that keeps most of it away. Null where nothing waits. */
export function mainRefusal(refusals: ReadonlyArray<{ reason: MessageRef; queued: number }>): MessageRef | null {
  const totals = new Map<string, number>();
  for (const { reason, queued } of refusals) totals.set(reason.key, (totals.get(reason.key) ?? 0) + queued);
  const [main] = [...totals].sort((a, b) => b[1] - a[1])[0] ?? [];
  const [largest] = refusals.filter(({ reason }) => reason.key === main).sort((a, b) => b.queued - a.queued);
  return largest?.reason ?? null;
}
