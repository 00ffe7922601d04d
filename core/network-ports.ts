import type { AppPorts } from './app-ports.ts';
import { earningsEstimate } from './benchmark/earnings.ts';
import { delegationFault } from './contract/delegation-hash.ts';
import type { HardwareReport } from './contract/hardware.ts';
import type { IsolationReport } from './contract/isolation.ts';
import type { EmbeddedCoordinator } from './contract/jobs.ts';
import { ref } from './contract/messages.ts';
import type { LeaseRequest, NetworkInfo } from './contract/network.ts';
import type { NetworkChoices } from './contract/networks.ts';
import { type SignalSource, STALE_MS } from './contract/policy.ts';
import type { Address } from './contract/receipt.ts';
import type { Settings } from './contract/settings.ts';
import { openDelegations } from './delegations.ts';
import { shownAs } from './earnings/earnings.ts';
import type { Identity } from './identity/identity.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { ModelStore } from './models/store.ts';
import type { HourlyCost } from './network/choosing.ts';
import { Rates } from './network/rates.ts';
import { type Networks, openNetworks } from './networks.ts';
import { openPayments, type Payments } from './payments.ts';
import type { WorkLoop } from './work/loop.ts';
import type { ConnectedNetwork, WorkChange } from './work/ports.ts';
import type { Workers } from './workers.ts';

/** Runs of before that a machine's rates are learnt from. */
const LEARNT_RUNS = 500;

/** What a benchmark knows of this machine; null: nothing measured. */
export interface Measured {
  tokensPerSecond: number | null;
  watts: number | null;
}

interface NetworkNeeds {
  ports: AppPorts;
  settings: { current: Settings };
  identity: Identity;
  payee(): Address;
  ledger: Ledger;
  workers: Workers;
  coordinator: EmbeddedCoordinator;
  models: Pick<ModelStore, 'kept'>;
  /** Null until the inventory is taken. */
  hardware(): HardwareReport | null;
  connected: ConnectedNetwork[];
  loop: () => WorkLoop;
  measured: () => Measured;
  /** What one whole unit of an asset is worth by the user's source, in the currency of the tariff; null: not known. */
  worth(asset: string): number | null;
  onChange(): void;
  /** What is owed, or a transaction, may be another. */
  onPayments(): void;
}

/** The networks with what they need of the other features, and what the rules are told of their pay. */
export interface WiredNetworks extends Networks {
  payments: Payments;
  source: SignalSource;
}

export function wireNetworks(needs: NetworkNeeds): WiredNetworks {
  const { ports, settings, identity, payee, ledger, workers, coordinator, connected, loop, measured } = needs;
  const { clock } = ports;
  const rates = new Rates();
  const before = ledger.recentRuns(LEARNT_RUNS).reverse();
  for (const { model, priceUnit, units, runMs } of before) rates.learn(model, priceUnit, units, runMs);
  const open = (id: string) => ledger.unfinished().filter(({ network }) => network === id);
  const steady = () => performance.now();

  function cost(): HourlyCost {
    const { electricity } = settings.current.rules;
    const { perHour } = earningsEstimate({
      ...{ tokensPerSecond: null, quotes: [], electricity },
      measuredWatts: measured().watts,
      loadWatts: settings.current.loadWatts,
      hour: new Date(clock()).getHours(),
    }).electricity;
    return { currency: electricity.currency, perHour };
  }

  const payments = openPayments({
    ...{ dataDir: ports.dataDir, ledger, clock, log: ports.log },
    get worker() {
      return identity.address;
    },
    get payee() {
      return payee();
    },
    onChange() {
      needs.onChange();
      needs.onPayments();
    },
    networks: () => networks.joined(),
    settings: () => settings.current,
    suspend: (id, { code, params }) => networks.suspend(id, ref(code, params)),
  });
  const networks = openNetworks({
    payments,
    ...{ dataDir: ports.dataDir, version: ports.version, clock, log: ports.log, connected, rates, cost, open, shownAs },
    worker: {
      get address() {
        return identity.address;
      },
      get payee() {
        return payee();
      },
      get successions() {
        return identity.successions;
      },
      signDigest: (digest) => identity.signDigest(digest),
    },
    delegation: (networkKey) => {
      const held = openDelegations(ports.dataDir).read().delegation;
      if (held === null || held.delegation.wallet.toLowerCase() !== payee().toLowerCase()) return null;
      const now = Math.floor(clock() / 1000);
      const asked = { worker: identity.address, networkKey, now, revokedUpTo: null };
      return delegationFault(held.delegation, asked) === null ? held : null;
    },
    local: {
      id: coordinator.id,
      async connect() {
        const holds = open(coordinator.id);
        const info = await coordinator.connect({ address: identity.address, payee: payee(), holds });
        // One's own network gets by with any level.
        return { network: coordinator, info, admitted: () => info.isolation.includes(workers.isolation().level) };
      },
    },
    loop: { add: (from) => loop().add(from), remove: (from) => loop().remove(from) },
    backends: () => backendsOf(workers, needs.hardware()),
    diskModels: () => needs.models.kept(),
    usedModels: (id) => before.filter(({ network }) => network === id).map(({ model }) => model),
    admitted: (info, choices) => admits(info, workers.isolation(), choices),
    acceptedIsolation: () => settings.current.acceptedIsolation,
    earnings: (id) => ledger.networkTotals(id),
    tokensPerSecond: () => measured().tokensPerSecond,
    worth: needs.worth,
    onChange: needs.onChange,
  });

  function tell(change: WorkChange): void {
    if (change.type === 'started') rates.started(change.shard, steady());
    else if (change.type === 'token') rates.token(change.shard.id);
    else if (change.type === 'computed') rates.computed(change.shard.id, steady());
    else if (change.type === 'ended') rates.ended(change.key.shardId);
    networks.tell(change);
  }

  return {
    ...networks,
    tell,
    payments,
    source: profitSource(networks),
    async close() {
      // Vouchers are taken as long as there is somebody to ask.
      await payments.close();
      await networks.close();
    },
  };
}

const MAX_DEVICES = 16;

/** What computes, GPUs first, each by the name of its kind where that is known. */
function backendsOf(workers: Workers, hardware: HardwareReport | null): LeaseRequest['backends'] {
  const kind = (id: string | null) =>
    (id === null ? hardware?.cpu.model : hardware?.gpus.find((gpu) => gpu.id === id)?.name) ?? id ?? 'cpu';
  const computing = workers.backends().workers.toSorted((a, b) => Number(a.gpu === null) - Number(b.gpu === null));
  if (computing.length === 0) return undefined;
  return computing
    .slice(0, MAX_DEVICES)
    .map(({ gpu, backend, memoryBytes }) => ({ name: backend, device: kind(gpu).slice(0, 200), memoryBytes }));
}

/**
 * Whether a stranger's work may run under the isolation that this machine has: only under a level that the network and the user accept, and that the
 * probe has tried to break out of and failed. Nothing stands around `process` that could be tried: that the user accepts it, or trusts the network, is all.
 */
function admits(info: NetworkInfo, { level, probe }: IsolationReport, { isolation, trusted }: NetworkChoices): boolean {
  if (!info.isolation.includes(level)) return false;
  return level === 'process' ? trusted || isolation.includes(level) : isolation.includes(level) && probe !== null;
}

/** What the best of the networks leaves of an hour's pay, for the rule of the least profit. */
function profitSource(networks: Networks): SignalSource {
  return {
    name: 'networks',
    start(context) {
      const publish = () => context.publish({ profitPerHour: networks.bestNetPerHour() });
      publish();
      const timer = setInterval(publish, STALE_MS / 4);
      return () => clearInterval(timer);
    },
  };
}
