import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { StartOptions, Summary } from './app.ts';
import type { AppPorts } from './app-ports.ts';
import type { Quote } from './contract/benchmark.ts';
import { asHearthlendError } from './contract/errors.ts';
import type { HardwareReport } from './contract/hardware.ts';
import type { EmbeddedCoordinator } from './contract/jobs.ts';
import { ref } from './contract/messages.ts';
import type { Decision, DeviceId } from './contract/policy.ts';
import type { Address } from './contract/receipt.ts';
import type { Settings } from './contract/settings.ts';
import type { Shard } from './contract/shard.ts';
import { couldHaveGpu } from './gpu-proofs.ts';
import { type Identity, openIdentity } from './identity/identity.ts';
import { createJournal } from './journal.ts';
import type { LedgerEvent } from './ledger/event.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Spool } from './ledger/spool.ts';
import { createMeasuredRuns } from './measured-runs.ts';
import { fetchBlob } from './models/fetch.ts';
import { keepRecent } from './models/recent.ts';
import type { ModelStore } from './models/store.ts';
import { type Measured, wireNetworks } from './network-ports.ts';
import type { Networks } from './networks.ts';
import type { Payments } from './payments.ts';
import { createPolicy, type Policy } from './policy/controller.ts';
import { openPowerLimits, type PowerLimits } from './policy/throttle-power-limit.ts';
import { createYielding } from './policy-work.ts';
import { loadPromptModel } from './prompt-model.ts';
import type { Prompts } from './prompts.ts';
import type { Screen } from './screen/screen.ts';
import { shownBy } from './shown-asset.ts';
import { meanWatts } from './telemetry/mean-watts.ts';
import { findNvidiaSmi } from './telemetry/nvidia.ts';
import type { Telemetry } from './telemetry/telemetry.ts';
import { openTelemetry } from './telemetry-ports.ts';
import { telemetrySignals } from './telemetry-signals.ts';
import { createView } from './view.ts';
import { createWorkLoop } from './work/loop.ts';
import type { ConnectedNetwork, WorkChange } from './work/ports.ts';
import { Remaining } from './work/remaining.ts';
import { openWorkers, type Workers } from './workers.ts';

const MAX_INPUT_BYTES = 0x7fff_ffff;
/** What changes about networks faster than this goes out together. */
const NETWORKS_MS = 250;

interface EngineParts {
  ports: AppPorts;
  settings: { current: Settings };
  identity: Identity;
  /** Where what is earned is to be paid: the wallet's address, else the worker's own. */
  payee(): Address;
  ledger: Ledger;
  spool: Spool;
  models: ModelStore;
}

/** Everything that moves: networks, workers, the loop between them, and what the screen is told of it. */
export interface Engine {
  screen: Screen;
  coordinator: EmbeddedCoordinator;
  workers: Workers;
  prompts: Prompts;
  telemetry: Telemetry;
  hardware(): Promise<HardwareReport>;
  /** The same as far as it was taken; null before. */
  inventory(): HardwareReport | null;
  counts(): Omit<Summary, 'ms'>;
  started(): boolean;
  /** Resolves once it works; `running` ends when the loop does. */
  start(options: StartOptions): Promise<{ running: Promise<void> }>;
  /** What it makes of rules, signals and what the user says. */
  policy: Policy;
  powerLimits: PowerLimits;
  /** Resolves when what was decided last is done: the worker gone, say, and its memory returned. */
  settled(): Promise<void>;
  /** Sets work aside while the machine is measured. What it gives puts it back, as far as nothing else stands against it by then. */
  hold(): Promise<() => void>;
  networks: Pick<Networks, 'handlers' | 'joined' | 'apart' | 'noteWorker' | 'tellWalletSaid'>;
  payments: Pick<Payments, 'handlers' | 'chain' | 'gasAddress' | 'records'>;
  /** The practice model's digest. */
  practiceDigest: string;
  /** What a benchmark knows of this machine, from now on. */
  measuredBy(measured: () => Measured): void;
  /** What one whole unit of an asset is worth in the currency of the tariff, from now on; null: not known. */
  pricedBy(worth: (asset: string) => number | null): void;
  /** What connected networks say that they pay. */
  quotes(): { network: string; quote: Quote }[];
  /** The ledger was found not to be whole: nothing more is computed on top of it, whatever is resumed. */
  distrustLedger(): void;
  stop(now: boolean): void;
  close(): Promise<void>;
}

function isStopped(thrown: unknown): boolean {
  return asHearthlendError(thrown).code === 'WORKER_STOPPED';
}

export async function openEngine(parts: EngineParts): Promise<Engine> {
  const { ports, settings, identity, payee, ledger, spool, models } = parts;
  const { clock, log, dataDir } = ports;
  const promptModel = await loadPromptModel(ports.parts.practiceModel);
  const onChange = (field: 'isolation' | 'backends') => {
    screen.touch(field);
    // A network that waited for the proof of this machine's isolation waits no more.
    if (field === 'isolation') loop.wake();
    if (field === 'backends' && facts.started) policy.changed();
  };
  const workers = await openWorkers({ ports, settings, onChange });
  const coordinator = await ports.createCoordinator({
    dir: join(dataDir, 'coordinator'),
    signer: openIdentity(join(dataDir, 'coordinator-identity.json')),
    reference: workers.reference,
    quota: settings.current.practice,
    clock,
    log,
    practice: {
      folder: ports.parts.practiceModel,
      model: promptModel.local,
      decoder: promptModel.decoder,
      stopTokens: promptModel.stopTokens,
    },
  });

  const connected: ConnectedNetwork[] = [];
  let inventory: HardwareReport | null = null;
  let worth: (asset: string) => number | null = () => null;
  /** What it took while it worked, as far as sensors told: kept, since a pause must not make it unknown. */
  let workingWatts: number | null = null;
  let measured = (): Measured => ({ tokensPerSecond: null, watts: null });
  let toldNetworks: NodeJS.Timeout | undefined;
  let toldPayments: NodeJS.Timeout | undefined;
  const networks = wireNetworks({
    ...{ ports, settings, identity, payee, ledger, workers, coordinator, connected, models },
    hardware: () => inventory,
    loop: () => loop,
    measured: () => ({ ...measured(), watts: measured().watts ?? workingWatts }),
    worth: (asset) => worth(asset),
    onChange() {
      // A start connects to several at once, and short shards end by the hundred.
      toldNetworks ??= setTimeout(() => {
        toldNetworks = undefined;
        screen.emit({ event: 'network.changed', data: networks.rows() });
        screen.touch('networks');
      }, NETWORKS_MS);
    },
    onPayments() {
      toldPayments ??= setTimeout(() => {
        toldPayments = undefined;
        screen.emit({ event: 'payments.changed', data: {} });
      }, NETWORKS_MS);
    },
  });
  const view = createView({
    ...{ ports, identity, ledger, workers, coordinator, promptModel, connected, isConnected: networks.isConnected },
    shownAs: (asset) => shownBy(asset, networks.joined(), settings.current),
  });
  const { screen, facts } = view;
  const runs = createMeasuredRuns(ledger, { clock, log });
  const heat = telemetrySignals();
  const telemetry = openTelemetry({
    ...{ ports, workers, settings },
    onSample(data) {
      screen.emit({ event: 'telemetry.sample', data });
      heat.tell(data);
      workers.limitVram(data.gpus);
      workingWatts = meanWatts(telemetry.history().samples) ?? workingWatts;
    },
    onEnergies: (energies) => runs.tell(energies),
  });
  let wanted = Number.POSITIVE_INFINITY;
  let trusted = true;

  const recent = keepRecent(models);
  const steady = () => performance.now();
  const remaining = new Remaining();
  let last: Shard | null = null;

  function watchRuns(change: WorkChange): void {
    if (change.type === 'started') {
      last = change.shard;
      remaining.started(change.shard, steady());
    } else if (change.type === 'token') remaining.token(change.shard.id, steady());
    else if (change.type === 'computed') remaining.computed(change.shard.id, steady());
    else if (change.type === 'ended') remaining.ended(change.key.shardId);
    else if (change.type === 'idle') yielding.idle();
  }

  const loop = createWorkLoop({
    clock,
    networks: connected,
    order: (practice) => networks.order(practice),
    journal: createJournal(ledger, {
      clock,
      get payee() {
        return payee();
      },
      device: (key) => runs.device(key),
    }),
    spool,
    holdModel: (network, model) => recent.ensure(model, (digest, offset) => network.fetchBlob(digest, offset)),
    fetchInputs: (network, inputs) => fetchBlob(inputs, (digest, offset) => network.fetchBlob(digest, offset), MAX_INPUT_BYTES),
    async compute(task, hooks) {
      let device: DeviceId | null = null;
      try {
        const made = await workers.compute(task, hooks);
        device = made.gpu ?? 'cpu';
        runs.computed({ network: task.shard.network, shardId: task.shard.id }, device);
        return made;
      } finally {
        telemetry.ended(task.shard.network, task.shard.id, device);
      }
    },
    lanes: () => workers.lanes(),
    stageRoom: () => workers.stageRoom(),
    warmModels: () => workers.warmModels(),
    isolation: () => workers.isolation().level,
    memoryBytes: Math.min(settings.current.worker.modelMemoryBytes, totalmem()),
    signBatch: (batch) => identity.signBatch(batch),
    onChange(change) {
      networks.tell(change);
      view.onChange(change);
      watchRuns(change);
      if (change.type === 'started') {
        const { network, id: shardId } = change.shard;
        telemetry.started({ network, shardId, attempt: change.attempt });
      }
      if (change.type === 'idle') rest();
      const missing = wanted - view.counts.accepted;
      // So many shards were asked for, whatever today's practice would be otherwise.
      if (change.type === 'no-work' && change.reason?.key === 'no-work.practice-over' && missing > 0 && Number.isFinite(missing)) {
        coordinator.extendPractice(missing);
      }
      if (missing > 0 || facts.stopping) return;
      facts.stopping = true;
      screen.touch('state');
    },
  });

  function record(events: LedgerEvent[]): void {
    try {
      // Waiting for the disk would hold up what watches the worker go: 10 ms and more.
      ledger.recordSoon(events);
    } catch (thrown) {
      // To yield and to go on matter more than that it is written down: a full disk must not keep the worker.
      const { code, params } = asHearthlendError(thrown);
      log('error', 'could not be recorded', { events: events.map(({ kind }) => kind), code, params });
    }
  }

  async function hardware(): Promise<HardwareReport> {
    inventory = await view.hardware();
    return inventory;
  }

  /** The CPU computes meanwhile. Where no device of a GPU is to be seen, there is nothing to take an inventory for. */
  async function proveGpus(): Promise<void> {
    const gpus = couldHaveGpu(process.platform) ? (await hardware()).gpus : [];
    await workers.prove({ gpus }, false);
  }

  const failed = (what: string) => (thrown: unknown) => log('error', what, { code: asHearthlendError(thrown).code });
  /** The model that was computed last, which is likely to be wanted first. */
  async function warmLast(): Promise<void> {
    const from = connected.find(({ info }) => info.id === last?.network)?.network;
    if (last === null || from === undefined) return;
    const model = await recent.ensure(last.model, (digest, offset) => from.fetchBlob(digest, offset));
    await workers.warm(last, model).finally(() => model.release());
  }

  /** What pauses for its heat is watched until it has cooled down. */
  function rest(): void {
    if (!policy.status().decisions.some(({ rules }) => rules.includes('temperature'))) telemetry.idle();
  }

  const nvidiaTool = findNvidiaSmi(process.platform, process.env);
  const powerLimits = openPowerLimits({ tool: nvidiaTool, recordPath: join(dataDir, 'power-limits.json'), log });
  /** A GPU that works has the limit that the user granted; for a game, it has all that it had. */
  function limitPower(decisions: readonly Decision[]): void {
    const { granted, gpuLimitWatts } = settings.current.rules.power;
    const working = decisions.filter(({ device, act }) => device !== 'cpu' && act !== 'pause');
    powerLimits.want(new Map(granted && gpuLimitWatts !== null ? working.map(({ device }) => [device, gpuLimitWatts]) : []));
  }

  const yielding = createYielding({
    ...{ loop, workers, view, remaining, record, clock, steady },
    meter: { latest: () => telemetry.history().samples.at(-1) ?? null, tool: nvidiaTool },
    trusted: () => trusted,
    warm: () => void warmLast().catch((thrown: unknown) => isStopped(thrown) || failed('the last model could not be loaded ahead')(thrown)),
    onError: failed('a worker could not be stopped'),
  });
  const policy = createPolicy({
    sources: [...(ports.signalSources ?? []), heat.source, networks.source],
    devices: () => [...new Set<DeviceId>([...workers.devices(), 'cpu'])],
    rules: () => settings.current.rules,
    working: () => facts.started && !facts.stopping,
    clock,
    steady,
    utcOffsetMinutes: (now) => -new Date(now).getTimezoneOffset(),
    log,
    onDecisions(decisions, askedAt) {
      yielding.apply(decisions, askedAt);
      limitPower(decisions);
      if (decisions.every(({ act }) => act === 'pause')) rest();
    },
  });

  return {
    screen,
    coordinator,
    workers,
    prompts: view.prompts,
    telemetry,
    hardware,
    inventory: () => inventory,
    practiceDigest: promptModel.digest,
    counts: () => view.counts,
    started: () => facts.started,
    async start({ shards, networks: wantedNetworks, practice = true }) {
      await networks.start(wantedNetworks);
      wanted = shards ?? wanted;
      ledger.record([{ kind: 'agent.started', at: clock(), version: ports.version, worker: identity.address }]);
      await spool.sweep(new Set(ledger.unfinished().flatMap(({ outputs }) => outputs ?? [])));
      facts.started = true;
      policy.start();
      const running = loop.run({ shards, practice });
      // Strangers' work waits for it; practice and the owner's own jobs don't.
      workers.probe().catch((thrown: unknown) => log('error', 'the isolation probe failed', { code: asHearthlendError(thrown).code }));
      proveGpus().catch((thrown: unknown) => log('error', 'the GPUs could not be tested', { code: asHearthlendError(thrown).code }));
      return { running };
    },
    policy,
    powerLimits,
    settled: () => yielding.settled(),
    async hold() {
      policy.measure(true);
      await yielding.settled();
      return () => policy.measure(false);
    },
    networks,
    payments: networks.payments,
    measuredBy(source) {
      measured = source;
    },
    pricedBy(source) {
      worth = source;
    },
    quotes: () => connected.flatMap(({ info }) => (info.quote === undefined ? [] : [{ network: info.id, quote: info.quote }])),
    distrustLedger() {
      trusted = false;
      facts.fault = ref('reason.ledger-broken');
      loop.pause();
      screen.touch('state');
    },
    stop(now) {
      facts.stopping = true;
      screen.touch('state');
      loop.stop(now);
    },
    async close() {
      await policy.close();
      yielding.close();
      await powerLimits.close();
      telemetry.close();
      view.close();
      recent.release();
      clearTimeout(toldNetworks);
      clearTimeout(toldPayments);
      await networks.close();
      await coordinator.close();
      await workers.close();
      if (facts.started) ledger.record([{ kind: 'agent.stopped', at: clock() }]);
    },
  };
}
