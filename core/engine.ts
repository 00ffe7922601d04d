import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { StartOptions, Summary } from './app.ts';
import type { AppPorts } from './app-ports.ts';
import { asHearthlendError, HearthlendError } from './contract/errors.ts';
import type { HardwareReport } from './contract/hardware.ts';
import type { IsolationReport } from './contract/isolation.ts';
import type { EmbeddedCoordinator } from './contract/jobs.ts';
import { type MessageRef, ref } from './contract/messages.ts';
import type { NetworkInfo } from './contract/network.ts';
import type { Settings } from './contract/settings.ts';
import type { AgentState } from './contract/snapshot.ts';
import { earningsOf } from './earnings/earnings.ts';
import { readHardware } from './hardware/read.ts';
import { type Identity, openIdentity } from './identity/identity.ts';
import { createJournal } from './journal.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Spool } from './ledger/spool.ts';
import { fetchBlob } from './models/fetch.ts';
import type { ModelStore } from './models/store.ts';
import { loadPromptModel } from './prompt-model.ts';
import { openPrompts, type Prompts } from './prompts.ts';
import { CurrentView } from './screen/current.ts';
import { dayBounds } from './screen/day.ts';
import { Screen } from './screen/screen.ts';
import { createWorkLoop } from './work/loop.ts';
import type { ConnectedNetwork, WorkChange } from './work/ports.ts';
import { describeState, type WorkFacts } from './work/state.ts';
import { openWorkers, type Workers } from './workers.ts';

const RECENT_TASKS = 20;
const MAX_INPUT_BYTES = 0x7fff_ffff;
/** How often the gauge moves while something runs and somebody looks. */
const LOAD_MS = 1000;

interface EngineParts {
  ports: AppPorts;
  settings: { current: Settings };
  identity: Identity;
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
  hardware(): Promise<HardwareReport>;
  counts(): Omit<Summary, 'ms'>;
  /** Resolves once it works; `running` ends when the loop does. */
  start(options: StartOptions): Promise<{ running: Promise<void> }>;
  pause(forMs: number | null): Promise<void>;
  resume(): void;
  stop(now: boolean): void;
  close(): Promise<void>;
}

/**
 * Whether a network's work may run under the isolation that this machine has. One's own network gets by with any level; a stranger's only
 * with one that it and the user accept, and after the probe has tried to break out and failed.
 */
function admits(info: NetworkInfo, isolation: IsolationReport, settings: Settings): boolean {
  if (!info.isolation.includes(isolation.level)) return false;
  return info.sameTrustDomain || (isolation.probe !== null && settings.acceptedIsolation.includes(isolation.level));
}

export async function openEngine(parts: EngineParts): Promise<Engine> {
  const { ports, settings, identity, ledger, spool, models } = parts;
  const { clock, log, dataDir } = ports;
  const promptModel = await loadPromptModel(ports.parts.practiceModel);
  const workers = await openWorkers({ ports, settings, onChange: () => screen.touch('isolation', 'load') });
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

  const facts: WorkFacts = {
    started: false,
    stopping: false,
    fault: null,
    paused: null,
    backingOff: null,
    current: null,
    noWork: null,
    now: clock(),
  };
  const counts = { accepted: 0, rejected: 0, failed: 0, released: 0 };
  const connected: ConnectedNetwork[] = [];
  const noWork = new Map<string, MessageRef | null>();
  const view = new CurrentView((shard) => (shard.model.digest === promptModel.digest ? promptModel.text : null));
  const startedAt = clock();
  let state: AgentState = { ...describeState(facts), since: startedAt };
  let hardware: HardwareReport | null = null;
  let hardwareRead: Promise<HardwareReport> | undefined;
  let resumeTimer: NodeJS.Timeout | undefined;
  let loadTimer: NodeJS.Timeout | undefined;

  function readState(): AgentState {
    const next = describeState({ ...facts, now: clock() });
    const same = next.name === state.name && next.reason.key === state.reason.key;
    state = { ...next, since: same ? state.since : clock() };
    return state;
  }

  const screen = new Screen({
    version: () => ports.version,
    startedAt: () => startedAt,
    now: clock,
    state: readState,
    worker: () => ({ address: identity.address }),
    networks: () =>
      connected.map(({ info }) => ({ id: info.id, practice: info.sameTrustDomain, connected: true, noWork: noWork.get(info.id) ?? null })),
    practice: () => coordinator.practice(),
    isolation: () => workers.isolation(),
    hardware: () => hardware,
    load: () => (view.current === null ? null : workers.load()),
    current: () => view.current,
    recent: () => ledger.recent(RECENT_TASKS),
    earnings: () => {
      const { start, end } = dayBounds(clock());
      return earningsOf(ledger.totals(start, end));
    },
    day: () => {
      const { start, end } = dayBounds(clock());
      return { start, end, spans: ledger.day(start, end, clock()) };
    },
  });

  const prompts = openPrompts(promptModel, coordinator, (event) => screen.emit(event), clock);
  const unsubscribeJobs = coordinator.onJob((job) => {
    screen.emit({ event: 'job.changed', data: job });
    prompts.onJob(job);
  });

  function onChange(change: WorkChange): void {
    switch (change.type) {
      case 'started':
        facts.current = { origin: change.shard.origin, network: change.shard.network };
        facts.backingOff = null;
        view.start(change.shard, change.attempt, change.inputs, clock());
        watchLoad();
        screen.touch('state', 'current', 'recent');
        break;
      case 'token': {
        prompts.onToken(change.shard, change.token, change.index);
        const stops = change.shard.kind === 'onnx.generate' && change.shard.stopTokens.includes(change.token);
        const text = stops ? '' : view.token(change.token);
        if (text !== '') {
          const { id: shardId } = change.shard;
          screen.emit({ event: 'current.text', data: { shardId, attempt: change.attempt, text, tokens: change.index + 1 } });
        }
        break;
      }
      case 'computed':
        screen.touch('recent', 'earnings', 'day');
        break;
      case 'ended':
        if (change.end.state in counts) counts[change.end.state as keyof typeof counts] += 1;
        if (change.end.state === 'accepted' && facts.fault?.key === 'reason.disk-full') facts.fault = null;
        screen.touch('recent', 'earnings', 'day', 'practice');
        log('info', 'attempt ended', { ...change.key, ...change.end });
        break;
      case 'no-work':
        noWork.set(change.network, change.reason);
        facts.noWork = [...noWork.values()].every((reason) => reason !== null) ? change.reason : null;
        screen.touch('state', 'networks');
        break;
      case 'fault':
        facts.fault = change.reason;
        log('error', 'fault', { network: change.network, reason: change.reason });
        screen.touch('state');
        break;
      case 'backing-off':
        facts.backingOff = { until: change.until, failures: change.failures };
        screen.touch('state');
        break;
      case 'idle':
        facts.current = null;
        view.end();
        clearInterval(loadTimer);
        loadTimer = undefined;
        screen.touch('state', 'current', 'load', 'day');
        break;
    }
  }

  function watchLoad(): void {
    loadTimer ??= setInterval(() => screen.touch('load', 'now'), LOAD_MS);
  }

  const loop = createWorkLoop({
    clock,
    networks: connected,
    journal: createJournal(ledger, { clock, payee: identity.address }),
    spool,
    holdModel: (network, model) => models.ensure(model, (digest, offset) => network.fetchBlob(digest, offset)),
    fetchInputs: (network, inputs) => fetchBlob(inputs, (digest, offset) => network.fetchBlob(digest, offset), MAX_INPUT_BYTES),
    compute: workers.compute,
    warmModels: () => workers.warmModels(),
    isolation: () => workers.isolation().level,
    memoryBytes: Math.min(settings.current.worker.modelMemoryBytes, totalmem()),
    signBatch: (batch) => identity.signBatch(batch),
    onChange,
  });

  async function connect(ids: string[]): Promise<void> {
    for (const id of ids) {
      if (id !== coordinator.id) throw new HearthlendError('NETWORK_UNKNOWN', { network: id });
      const info = await coordinator.connect({ address: identity.address, payee: identity.address });
      connected.push({ network: coordinator, info, admitted: () => admits(info, workers.isolation(), settings.current) });
    }
  }

  function resume(): void {
    clearTimeout(resumeTimer);
    if (facts.paused === null) return;
    facts.paused = null;
    ledger.record([{ kind: 'agent.resumed', at: clock() }]);
    loop.resume();
    screen.touch('state', 'day');
  }

  return {
    screen,
    coordinator,
    workers,
    prompts,
    hardware: () =>
      (hardwareRead ??= readHardware({ dataDir, nodePath: ports.parts.nodePath }).then((report) => {
        hardware = report;
        screen.touch('hardware');
        return report;
      })),
    counts: () => counts,
    async start({ shards, networks, practice = true }) {
      await connect(networks);
      const missing = (shards ?? 0) - coordinator.practice().shardsLeft;
      if (practice && missing > 0) coordinator.extendPractice(missing);
      ledger.record([{ kind: 'agent.started', at: clock(), version: ports.version, worker: identity.address }]);
      await spool.sweep(new Set(ledger.unfinished().flatMap(({ outputs }) => outputs ?? [])));
      facts.started = true;
      const running = loop.run({ shards, practice });
      // Strangers' work waits for it; practice and the owner's own jobs don't.
      workers.probe().catch((thrown: unknown) => log('error', 'the isolation probe failed', { code: asHearthlendError(thrown).code }));
      return { running };
    },
    async pause(forMs) {
      clearTimeout(resumeTimer);
      const until = forMs === null ? null : clock() + forMs;
      if (facts.paused === null) {
        const reason = ref(until === null ? 'reason.paused-by-you' : 'reason.paused-until');
        ledger.record([{ kind: 'agent.paused', at: clock(), reason }]);
      }
      facts.paused = { until };
      if (forMs !== null) resumeTimer = setTimeout(resume, forMs);
      await loop.pause();
      await workers.stop();
      screen.touch('state', 'day', 'current', 'load');
    },
    resume,
    stop(now) {
      facts.stopping = true;
      screen.touch('state');
      loop.stop(now);
    },
    async close() {
      clearTimeout(resumeTimer);
      clearInterval(loadTimer);
      unsubscribeJobs();
      screen.flush();
      screen.close();
      await coordinator.close();
      await workers.close();
      if (facts.started) ledger.record([{ kind: 'agent.stopped', at: clock() }]);
    },
  };
}
