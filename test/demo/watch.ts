import { setTimeout as sleep } from 'node:timers/promises';
import type { DemoChain } from './chain.ts';
import type { Member } from './member.ts';
import type { Operator } from './operator.ts';
import { type Fact, LIAR, type Machine, type MachineName, type Money } from './story.ts';

const EVERY_MS = 250;

interface Watched {
  operator: Operator;
  chain: DemoChain;
  /** The machines that are switched on now; the liar's books are its own affair. */
  members: ReadonlyMap<MachineName, Member>;
  /** Worker's and wallet's address of each. */
  workers: ReadonlyMap<MachineName, string>;
  wallets: ReadonlyMap<MachineName, string>;
  tell(fact: Fact): void;
}

/** Asks operator, machines and chain again and again how things stand, until `signal`; what is new is told. */
export async function watch(watched: Watched, signal: AbortSignal): Promise<void> {
  const told = new Map<string, string>();
  const seen = new Set<string>();
  const tellNew = (machine: MachineName, what: string, change: Partial<Omit<Machine, 'name' | 'money'>>, money: Partial<Money>) => {
    const text = JSON.stringify([change, money]);
    if (told.get(`${machine} ${what}`) === text) return;
    told.set(`${machine} ${what}`, text);
    watched.tell({ fact: 'machine', machine, change, money });
  };
  const nameOf = (worker: string) => [...watched.workers].find(([, each]) => each.toLowerCase() === worker.toLowerCase())?.[0];

  async function look(): Promise<void> {
    const [rows, appeals] = await Promise.all([watched.operator.workers(), watched.operator.appeals()]);
    for (const { worker, audits, suspendedUntil, open, accepted, earned } of rows) {
      const machine = nameOf(worker);
      if (machine === undefined) continue;
      const suspended = suspendedUntil === null ? {} : ({ state: 'suspended' } as const);
      // The liar keeps no ledger: what it is owed is what its network has on record.
      const owed = { receipts: accepted, accepted: earned[0]?.amount ?? '0' };
      const change = {
        audits: { valid: audits.valid, bad: audits.bad },
        ...suspended,
        ...(machine === LIAR ? { computing: open > 0 } : {}),
      };
      tellNew(machine, 'operator', change, machine === LIAR ? owed : {});
    }
    for (const { worker, shardId, attempt, detail } of appeals.toReversed()) {
      const machine = nameOf(worker);
      const key = `${shardId}#${attempt}`;
      if (machine === undefined || seen.has(key)) continue;
      seen.add(key);
      watched.tell({ fact: 'verdict', verdict: { machine, shard: key, detail } });
    }
    for (const [machine, member] of watched.members) {
      const owed = await member.owed();
      if (owed !== null) tellNew(machine, 'owed', {}, { receipts: owed.receipts, accepted: owed.accepted, promised: owed.promised });
    }
    for (const [machine, wallet] of watched.wallets)
      tellNew(machine, 'balance', {}, { balance: String(await watched.chain.balance(wallet)) });
  }

  while (!signal.aborted) {
    // Whoever is switched off or on just now is asked again.
    await look().catch(() => undefined);
    await sleep(EVERY_MS);
  }
}
