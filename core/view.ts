import type { AppPorts } from './app-ports.ts';
import type { HardwareReport } from './contract/hardware.ts';
import type { EmbeddedCoordinator } from './contract/jobs.ts';
import type { MessageRef } from './contract/messages.ts';
import type { EventData } from './contract/rpc.ts';
import type { AgentState } from './contract/snapshot.ts';
import { earningsOf } from './earnings/earnings.ts';
import { readHardware } from './hardware/read.ts';
import type { Identity } from './identity/identity.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { loadPromptModel } from './prompt-model.ts';
import { openPrompts, type Prompts } from './prompts.ts';
import { CurrentView } from './screen/current.ts';
import { dayBounds } from './screen/day.ts';
import { Screen } from './screen/screen.ts';
import type { ConnectedNetwork, WorkChange } from './work/ports.ts';
import { describeState, type WorkFacts } from './work/state.ts';
import type { Workers } from './workers.ts';

const RECENT_TASKS = 50;
/** Pieces of text that come faster go out together: a token takes about a millisecond, an eye some fifty. */
const TEXT_MS = 40;
/** How often the gauge moves while something runs and somebody looks. */
const LOAD_MS = 1000;

interface ViewParts {
  ports: AppPorts;
  identity: Identity;
  ledger: Ledger;
  workers: Workers;
  coordinator: EmbeddedCoordinator;
  promptModel: Awaited<ReturnType<typeof loadPromptModel>>;
  connected: readonly ConnectedNetwork[];
  isConnected(network: string): boolean;
  /** How an asset is called here, and with how many decimals. */
  shownAs(asset: string): { symbol: string; decimals: number };
}

/** What people are told of the work: the snapshot's sources, and what each change of the work means for it. */
export interface View {
  screen: Screen;
  prompts: Prompts;
  facts: WorkFacts;
  counts: { accepted: number; rejected: number; failed: number; released: number };
  onChange(change: WorkChange): void;
  hardware(): Promise<HardwareReport>;
  close(): void;
}

export function createView({
  ports,
  identity,
  ledger,
  workers,
  coordinator,
  promptModel,
  connected,
  isConnected,
  shownAs,
}: ViewParts): View {
  const { clock, log } = ports;
  const facts: WorkFacts = {
    started: false,
    stopping: false,
    fault: null,
    decision: null,
    finishing: false,
    backingOff: null,
    current: null,
    noWork: null,
    now: clock(),
  };
  const counts = { accepted: 0, rejected: 0, failed: 0, released: 0 };
  const noWork = new Map<string, MessageRef | null>();
  const suspended = new Set<string>();
  const view = new CurrentView((shard) => (shard.model.digest === promptModel.digest ? promptModel.text : prompts.textOf(shard.jobId)));
  const startedAt = clock();
  let state: AgentState = { ...describeState(facts), since: startedAt };
  let hardware: HardwareReport | null = null;
  let hardwareRead: Promise<HardwareReport> | undefined;
  let loadTimer: NodeJS.Timeout | undefined;
  let load: number | null = null;
  let untold: EventData<'current.text'> | null = null;
  let textTimer: NodeJS.Timeout | undefined;

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
      connected.map(({ info }) => ({
        id: info.id,
        practice: info.sameTrustDomain,
        connected: isConnected(info.id),
        noWork: noWork.get(info.id) ?? null,
      })),
    practice: () => coordinator.practice(),
    isolation: () => workers.isolation(),
    hardware: () => hardware,
    backends: () => workers.backends(),
    // Between two shards there is nothing to measure: the gauge keeps what it showed.
    load: () => {
      load = view.current === null ? null : (workers.load() ?? load);
      return load;
    },
    current: () => {
      // Its text holds the pieces that are still to be told: they go out first, so that nobody appends them to it.
      sendText();
      return view.current;
    },
    recent: () => ledger.recent(RECENT_TASKS),
    earnings: () => {
      const { start, end } = dayBounds(clock());
      return earningsOf(ledger.totals(start, end), shownAs);
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

  /** Why nobody lends work; of several the one that isn't practice. */
  function whyNoWork(): MessageRef | null {
    const asked = connected.filter(({ info }) => noWork.has(info.id) && !suspended.has(info.id));
    if (asked.some(({ info }) => noWork.get(info.id) === null)) return null;
    const first = asked.find(({ info }) => !info.sameTrustDomain) ?? asked[0];
    return first === undefined ? null : (noWork.get(first.info.id) ?? null);
  }

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
        // With several GPUs the screen shows one shard: that which came last.
        const shown = view.current?.shardId === change.shard.id && view.current.attempt === change.attempt;
        const text = stops || !shown ? '' : view.token(change.token);
        if (text !== '') tellText(change.shard.id, change.attempt, text, change.index + 1);
        break;
      }
      case 'computed':
        sendText();
        screen.touch('recent', 'earnings', 'day');
        break;
      case 'ended':
        if (change.end.state in counts) counts[change.end.state as keyof typeof counts] += 1;
        screen.touch('recent', 'earnings', 'day', 'practice');
        log('info', 'attempt ended', { ...change.key, ...change.end });
        break;
      case 'no-work':
        noWork.set(change.network, change.reason);
        facts.noWork = whyNoWork();
        screen.touch('state', 'networks');
        break;
      case 'fault':
        if (change.network !== null) suspended.add(change.network);
        // A network that proved wrong stops nobody else's work.
        if (change.network === null || connected.every(({ info }) => suspended.has(info.id))) facts.fault = change.reason;
        log(change.error === null ? 'info' : 'error', 'fault', {
          network: change.network,
          code: change.error?.code,
          params: change.error?.params,
        });
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

  function tellText(shardId: string, attempt: number, text: string, tokens: number): void {
    if (untold?.shardId !== shardId || untold.attempt !== attempt) sendText();
    untold = { shardId, attempt, text: (untold?.text ?? '') + text, tokens };
    textTimer ??= setTimeout(sendText, TEXT_MS);
  }

  function sendText(): void {
    clearTimeout(textTimer);
    textTimer = undefined;
    if (untold !== null) screen.emit({ event: 'current.text', data: untold });
    untold = null;
  }

  function watchLoad(): void {
    loadTimer ??= setInterval(() => screen.touch('load', 'now'), LOAD_MS);
  }

  return {
    screen,
    prompts,
    facts,
    counts,
    onChange,
    hardware() {
      hardwareRead ??= readHardware({ dataDir: ports.dataDir, nodePath: ports.parts.nodePath }).then((report) => {
        hardware = report;
        screen.touch('hardware');
        return report;
      });
      return hardwareRead;
    },
    close() {
      clearInterval(loadTimer);
      clearTimeout(textTimer);
      unsubscribeJobs();
      screen.flush();
      screen.close();
    },
  };
}
