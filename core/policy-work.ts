import { HearthlendError } from './contract/errors.ts';
import type { Decision, DeviceId } from './contract/policy.ts';
import { giveHeapBack } from './heap/give-back.ts';
import type { LedgerEvent } from './ledger/event.ts';
import { freedMemory, heldMemory, type VramMeter } from './policy-memory.ts';
import type { View } from './view.ts';
import type { WorkLoop } from './work/loop.ts';
import type { Remaining } from './work/remaining.ts';
import type { Workers } from './workers.ts';

/** So long after the worker is gone a paused agent has nothing to do any more. */
const SETTLED_MS = 500;

interface YieldParts {
  loop: Pick<WorkLoop, 'pause' | 'resume'>;
  workers: Workers;
  view: Pick<View, 'facts' | 'screen'>;
  remaining: Remaining;
  meter: VramMeter;
  /** Tells the ledger; must not throw. */
  record(events: LedgerEvent[]): void;
  clock(): number;
  /** The clock of decisions. */
  steady(): number;
  /** Whether anything may be computed at all. */
  trusted(): boolean;
  /** Brings back what a worker is likely to need first. */
  warm(): void;
  onError(thrown: unknown): void;
}

/** Does what is decided: yields, and goes on. */
export interface Yielding {
  apply(decisions: readonly Decision[], askedAt: number): void;
  /** The loop has nothing in hand: a shard that might finish has. */
  idle(): void;
  /** Resolves when what was decided last is done: the worker gone, and what that gave back recorded. */
  settled(): Promise<void>;
  close(): void;
}

export function createYielding({
  loop,
  workers,
  view,
  remaining,
  meter,
  record,
  clock,
  steady,
  trusted,
  warm,
  onError,
}: YieldParts): Yielding {
  const { facts, screen } = view;
  /** A shard that may end first, and since when it was to yield. */
  let finishing: { askedAt: number; timer: NodeJS.Timeout | undefined } | null = null;
  /** What was recorded last as the reason for standing aside; null: it doesn't. */
  let aside: string | null = null;
  let yielded: Promise<void> = Promise.resolve();

  function mayFinish({ graceMs }: Decision): boolean {
    if (facts.current === null || graceMs === 0) return false;
    const leftMs = remaining.ms(steady());
    return graceMs === null || (leftMs !== null && leftMs <= graceMs);
  }

  function finish({ graceMs }: Decision, askedAt: number): void {
    // It was told in how much time it would end; what takes longer is cut off.
    const timer = graceMs === null ? undefined : setTimeout(() => leave(askedAt), graceMs);
    finishing = { askedAt, timer };
    loop.pause({ finish: true });
  }

  function leave(askedAt: number): void {
    clearTimeout(finishing?.timer);
    finishing = null;
    facts.finishing = false;
    const held = heldMemory(workers, meter);
    loop.pause();
    const gone = workers.stop();
    recordPause();
    screen.touch('state', 'day', 'current', 'load');
    yielded = Promise.all([yielded, gone]).then(async () => {
      if (held === null) return;
      const yieldMs = steady() - askedAt;
      record([{ kind: 'agent.yielded', at: clock(), yieldMs, freed: await freedMemory(held, meter) }]);
      screen.touch('day');
      // Once what was handed back is recorded.
      setTimeout(() => aside !== null && giveHeapBack(), SETTLED_MS).unref();
    });
  }

  function recordPause(): void {
    const { decision } = facts;
    if (decision?.act !== 'pause') return;
    // What is only being waited out is the pause that it was.
    if (aside !== null && (aside === decision.reason.key || decision.reason.key === 'policy.over')) return;
    aside = decision.reason.key;
    record([{ kind: 'agent.paused', at: clock(), reason: decision.reason }]);
  }

  function goOn(): void {
    clearTimeout(finishing?.timer);
    finishing = null;
    facts.finishing = false;
    if (aside !== null) record([{ kind: 'agent.resumed', at: clock() }]);
    aside = null;
    if (!trusted()) return;
    warm();
    loop.resume();
  }

  return {
    apply(decisions, askedAt) {
      const decision = overall(decisions, workers.devices());
      const before = facts.decision;
      facts.decision = decision;
      if (decision.act !== 'pause') {
        // One GPU of several may be wanted by somebody else: what it computes goes back, and the others go on.
        workers.govern(decisions).catch(onError);
        if (before?.act === 'pause') goOn();
      } else if (finishing !== null) {
        clearTimeout(finishing.timer);
        if (mayFinish(decision)) finish(decision, finishing.askedAt);
        else leave(finishing.askedAt);
      } else if (before?.act === 'pause') recordPause();
      else if (mayFinish(decision)) finish(decision, askedAt);
      else leave(askedAt);
      facts.finishing = finishing !== null;
      screen.touch('state', 'day');
    },
    idle() {
      if (finishing !== null) leave(finishing.askedAt);
    },
    settled: () => yielded,
    close() {
      clearTimeout(finishing?.timer);
    },
  };
}

/** What is decided for the whole: to pause where every device that earns does, else what is decided for the one that may do most. */
export function overall(decisions: readonly Decision[], earning: readonly DeviceId[]): Decision {
  const counted = decisions.filter(({ device }) => earning.includes(device));
  const [first, ...others] = counted.length > 0 ? counted : decisions;
  if (first === undefined) throw new HearthlendError('INTERNAL', { detail: 'nothing was decided' });
  return others.reduce((most, each) => (each.duty > most.duty ? each : most), first);
}
