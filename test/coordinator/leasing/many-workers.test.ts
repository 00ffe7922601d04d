import { afterEach, expect, test } from 'vitest';
import type { LeaseRequest } from '../../../core/contract/network.ts';
import type { Lease } from '../../../core/contract/shard.ts';
import { GB, REQUEST, SimulatedNetwork, workerOf } from './simulated.ts';

const WORKERS = 1000;
const TICK_MS = 500;
const LEASE_MS = 60_000;
const FASTEST_MS = 400;

let network: SimulatedNetwork;
afterEach(() => network.dispose());

/** A machine of the simulation. Times on the network's monotonic clock. */
interface Machine {
  number: number;
  request: LeaseRequest;
  /** What one shard takes it. */
  runMs: number;
  /** Beyond what all of them do: vanishes with its first shard, pauses or fails in the middle of it, or takes fifty times as long now and then. */
  trouble: 'none' | 'vanishes' | 'pauses' | 'fails' | 'crawls';
  leases: Lease[];
  doneAt: number;
  asksAt: number;
}

function machineOf(number: number): Machine {
  const memoryBytes = ([4, 8, 16, 24, 80][number % 5] as number) * GB;
  const troubles = new Map<number, Machine['trouble']>([
    [7, 'vanishes'],
    [13, 'pauses'],
    [23, 'fails'],
    [31, 'crawls'],
  ]);
  return {
    number,
    request: {
      ...REQUEST,
      memoryBytes,
      backends: [
        { name: number % 3 === 0 ? 'cuda' : 'webgpu', device: 'simulated', memoryBytes },
        { name: 'cpu', device: 'simulated', memoryBytes: 2 * GB },
      ],
      floors: number % 20 === 1 ? [{ asset: 'hearth:studio/credit:practice', unit: 'run', perUnit: '15' }] : [],
      refusedCategories: number % 10 === 4 ? ['images'] : [],
      count: 8,
    },
    runMs: FASTEST_MS + 150 * (number % 9),
    trouble: troubles.get(number % 50) ?? 'none',
    leases: [],
    doneAt: 0,
    asksAt: 0,
  };
}

/** Who has a shard, as far as anybody outside can tell. */
interface Holder {
  machine: Machine;
  since: number;
  until: number;
}

/** What is seen of all machines, and must never be otherwise. */
class Watch {
  readonly holders = new Map<string, Holder[]>();
  readonly paid = new Set<string>();
  doubled = 0;

  lent(machine: Machine, { shard, leaseMs }: Lease, now: number): void {
    expect(this.paid).not.toContain(shard.id);
    const others = this.#of(shard.id).filter(({ until }) => until > now);
    // Another one has it only where that one is far beyond what any machine needs, and never two others.
    expect(others.length).toBeLessThan(2);
    for (const other of others) {
      expect(other.machine).not.toBe(machine);
      expect(now - other.since).toBeGreaterThan(3 * FASTEST_MS);
      this.doubled += 1;
    }
    this.holders.set(shard.id, [...others, { machine, since: now, until: now + leaseMs }]);
  }

  renewed(machine: Machine, lease: Lease, now: number): void {
    for (const holder of this.#of(lease.shard.id)) if (holder.machine === machine) holder.until = now + lease.leaseMs;
  }

  over(machine: Machine, { shard }: Lease): void {
    this.holders.set(
      shard.id,
      this.#of(shard.id).filter((holder) => holder.machine !== machine),
    );
  }

  accepted(shardId: string): void {
    expect(this.paid).not.toContain(shardId);
    this.paid.add(shardId);
  }

  #of(shardId: string): Holder[] {
    return this.holders.get(shardId) ?? [];
  }
}

test('a thousand machines of all kinds end every job: no shard is with two of them unless one is late, and none is paid twice', async () => {
  network = new SimulatedNetwork({ leaseMs: LEASE_MS });
  const { service } = network.coordinator;
  const machines = Array.from({ length: WORKERS }, (_, number) => machineOf(number));
  const watch = new Watch();
  const woken = new Set<string>();
  service.subscribe((event, to) => event.type === 'work' && to !== null && woken.add(to));

  const models = [await network.model(), await network.model(), await network.model()];
  const needs = [
    { modelBytes: GB },
    { modelBytes: 10 * GB, category: 'images' },
    { modelBytes: 40 * GB },
    { modelBytes: GB, backends: ['cuda' as const] },
  ];
  const jobs: string[] = [];
  for (let index = 0; index < 16; index += 1) {
    const model = models[index % models.length] ?? (await network.model());
    const order = { requester: `r${index % 3}`, perUnit: index % 4 === 0 ? '20' : '10', needs: needs[index % needs.length] ?? {} };
    jobs.push(await network.submit(model, 40 + 20 * (index % 5), order));
  }

  async function ask(machine: Machine): Promise<void> {
    const reply = await service.lease(workerOf(machine.number), machine.request);
    const now = network.monotonicMs;
    if (reply.type === 'no-work') {
      machine.asksAt = now + (reply.retryMs ?? 0);
      return;
    }
    machine.leases = [reply.lease, ...(reply.further ?? [])];
    machine.request.warmModels = [reply.lease.shard.model.digest];
    for (const lease of machine.leases) watch.lent(machine, lease, now);
    machine.doneAt = now + machine.runMs * (machine.trouble === 'crawls' && network.random() < 0.2 ? 50 : 1);
  }

  async function step(machine: Machine): Promise<void> {
    const worker = workerOf(machine.number);
    const now = network.monotonicMs;
    const [lease] = machine.leases;
    if (lease === undefined) {
      if (woken.delete(worker.address) || now >= machine.asksAt) await ask(machine);
      return;
    }
    if (machine.trouble === 'vanishes') return;
    const key = { shardId: lease.shard.id, attempt: lease.attempt };
    if (machine.trouble === 'none' || machine.trouble === 'crawls') {
      if (now < machine.doneAt) {
        if (await service.progress(worker, key, null)) for (const each of machine.leases) watch.renewed(machine, each, now);
        else drop(machine, lease);
        return;
      }
      drop(machine, lease);
      machine.doneAt = now + machine.runMs;
      const reply = await network.submitResult(worker, lease, machine.runMs);
      if (reply.type === 'accepted') watch.accepted(key.shardId);
      else expect(reply).toEqual({ type: 'expired' });
    } else {
      drop(machine, lease);
      const failed = machine.trouble === 'fails';
      machine.trouble = 'none';
      await service.release(worker, key, failed ? 'failed' : 'paused', failed ? { code: 'RUN_FAILED', params: { detail: '' } } : null);
    }
    if (machine.leases.length === 0) await ask(machine);
  }

  function drop(machine: Machine, lease: Lease): void {
    machine.leases = machine.leases.slice(1);
    watch.over(machine, lease);
  }

  const open = async () => {
    const states = await Promise.all(jobs.map(async (id) => (await network.store.job(id))?.state));
    return states.filter((state) => state === 'queued' || state === 'running').length;
  };
  // Ten minutes of the simulation's time: twenty times what it takes.
  for (let ticks = 0; (await open()) > 0 && ticks < 1200; ticks += 1) {
    await Promise.all(machines.map(step));
    network.pass(TICK_MS);
  }
  for (const id of jobs) expect(await network.store.job(id)).toMatchObject({ state: 'done' });
  const shards = (await Promise.all(jobs.map((id) => network.store.shardsOf(id)))).flat();
  // Canaries, of no job, are paid for too: a hundredth of the leases.
  const own = new Set(shards.map(({ shard }) => shard.id));
  expect([...own].every((id) => watch.paid.has(id))).toBe(true);
  expect(watch.paid.size - own.size).toBeLessThan(0.03 * own.size);
  // Or the machines were too tame to say anything of late work.
  expect(watch.doubled).toBeGreaterThan(0);
});
