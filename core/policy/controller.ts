import {
  type Decision,
  type DeviceId,
  type ManualOrder,
  OVERRIDABLE,
  type PolicyStatus,
  type RuleName,
  type SignalContext,
  type SignalSource,
  type Signals,
} from '../contract/policy.ts';
import type { Rules } from '../contract/rules.ts';
import { accept, type Readings, UNKNOWN } from './controller-readings.ts';
import { decide, type Memory } from './decide.ts';

export interface PolicyOptions {
  sources: readonly SignalSource[];
  /** What is decided for, first of all the one that works. */
  devices(): readonly DeviceId[];
  rules(): Rules;
  /** Whether work goes on but for what is decided here. */
  working(): boolean;
  /** ms since 1970 */
  clock(): number;
  /** ms of a clock that nobody sets; it may stand still while the machine sleeps. */
  steady(): number;
  /** The local time's distance from UTC at a moment. */
  utcOffsetMinutes(now: number): number;
  log: SignalContext['log'];
  /** Called with the decisions of all devices whenever one of them is another; must not throw. `askedAt`: when what led to them came, on the steady clock. */
  onDecisions(decisions: readonly Decision[], askedAt: number): void;
}

/** Decides anew at every signal, order, change of the rules and when something is due, and tells what is new. */
export interface Policy {
  /** Starts to watch. */
  start(): void;
  /** What the user says, instead of what was said before; null: nothing any more. */
  order(order: ManualOrder | null): void;
  /** Pauses: for a time, or until told otherwise. */
  pause(forMs: number | null): void;
  /** Works in spite of the rules that say no now, and of no others, for so long. */
  begin(forMs: number): { overrides: RuleName[]; until: number };
  suspend(): void;
  wake(): void;
  /** The machine is being measured, or no more. */
  measure(on: boolean): void;
  /** The rules, the devices or whether there is work are others. */
  changed(): void;
  status(): Omit<PolicyStatus, 'powerLimits'>;
  /** What would be decided from other signals, with nothing remembered. */
  test(signals: Signals, rules: Rules): Decision[];
  /** Stops watching; resolves when nothing of it is left. */
  close(): Promise<void>;
}

/** Rules that only a GPU's own sensors can end: those are watched on while one of them keeps work away. */
const SENSED: readonly RuleName[] = ['temperature', 'otherGpu', 'otherVram'];
/** A timer must not fire a moment before what it waits for. */
const MARGIN_MS = 1;

export function createPolicy(options: PolicyOptions): Policy {
  const { clock, rules } = options;
  let readings: Readings = UNKNOWN;
  let manual: ManualOrder | null = null;
  let asleep: { clock: number; steady: number } | null = null;
  let measuring = false;
  /** Time asleep in which the steady clock stood still. */
  let sleptMs = 0;
  let memory: Memory = {};
  let decisions: Decision[] = [];
  let told = '';
  let worked = false;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const listeners = new Set<() => void>();
  const stops: Array<() => void | Promise<void>> = [];

  const steady = () => options.steady() + sleptMs;

  function signalsNow(): Signals {
    const now = clock();
    return {
      ...readings,
      now,
      utcOffsetMinutes: options.utcOffsetMinutes(now),
      steadyMs: steady(),
      manual,
      suspended: asleep !== null,
      measuring,
    };
  }

  function look(askedAt = steady()): void {
    if (closed) return;
    clearTimeout(timer);
    const decided = decide(signalsNow(), rules(), memory, options.devices());
    ({ memory, manual, decisions } = decided);
    timer = setTimeout(look, decided.wakeAt - steady() + MARGIN_MS);
    timer.unref();
    const now = JSON.stringify(
      decisions.map(({ until, ...decision }) => ({ ...decision, until: until === null ? null : Math.round(until / 1000) })),
    );
    if (now !== told) {
      told = now;
      options.onDecisions(decisions, askedAt);
    }
    if (working() !== worked) {
      worked = working();
      for (const listener of [...listeners]) listener();
    }
  }

  function working(): boolean {
    return options.working() && decisions.some(({ act, rules: held }) => act !== 'pause' || held.some((name) => SENSED.includes(name)));
  }

  function suspend(): void {
    asleep ??= { clock: clock(), steady: options.steady() };
    look();
  }

  function wake(): void {
    if (asleep === null) return;
    // By the wall clock at most: one that was set back meanwhile slept no less than nothing.
    sleptMs += Math.max(0, clock() - asleep.clock - (options.steady() - asleep.steady));
    asleep = null;
    look();
  }

  const contextOf = ({ name }: SignalSource): SignalContext => ({
    publish(change) {
      const at = steady();
      readings = accept(readings, change, at);
      look(at);
    },
    sleep: (falls) => (falls ? suspend() : wake()),
    rules,
    working,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    clock,
    log: (level, event, facts) => options.log(level, event, { source: name, ...facts }),
  });

  return {
    start() {
      for (const source of options.sources) stops.push(source.start(contextOf(source)));
      look();
    },
    order(order) {
      manual = order;
      look();
    },
    pause(forMs) {
      manual = { order: 'pause', until: forMs === null ? null : steady() + forMs };
      look();
    },
    begin(forMs) {
      const plain = decide({ ...signalsNow(), manual: null }, rules(), memory, options.devices()).decisions;
      const overrides = OVERRIDABLE.filter((name) => plain.some(({ rules: held }) => held.includes(name)));
      // Nothing says no: there is nothing to go against.
      manual = overrides.length === 0 ? null : { order: 'start', until: steady() + forMs, overrides };
      look();
      return { overrides, until: clock() + forMs };
    },
    suspend,
    wake,
    measure(on) {
      measuring = on;
      look();
    },
    changed() {
      // Told again also where the decision is the same: what it is carried out with may be other.
      told = '';
      look();
      for (const listener of [...listeners]) listener();
    },
    status() {
      const signals = signalsNow();
      return { signals, decisions: decide(signals, rules(), memory, options.devices()).decisions };
    },
    test: (signals, other) => decide(signals, other, {}, devicesOf(signals, options.devices())).decisions,
    async close() {
      closed = true;
      clearTimeout(timer);
      await Promise.all(stops.splice(0).map((stop) => stop()));
    },
  };
}

/** Those of this machine, and those that the signals tell of. */
function devicesOf({ gpus }: Signals, devices: readonly DeviceId[]): DeviceId[] {
  return [...new Set([...devices, ...Object.keys(gpus)])];
}
