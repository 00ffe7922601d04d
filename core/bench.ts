import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createApp } from './app.ts';
import type { AppPorts } from './app-ports.ts';
import { createGate, type Gate } from './bench/gate.ts';
import { measureGeneration } from './bench/generation.ts';
import { measureInventory } from './bench/inventory.ts';
import { type LeasingBench, measureLeasing } from './bench/leasing.ts';
import { describeMachine, type Machine } from './bench/machine.ts';
import type { Measure } from './bench/measure.ts';
import { measureProgram } from './bench/program.ts';
import { measureRecording, type RecordingBench } from './bench/recording.ts';
import { machineScore } from './bench/score.ts';
import { measureShards, THREADS } from './bench/shards.ts';
import { measureTelemetry } from './bench/telemetry.ts';
import { measureWatching, type WatchingBench } from './bench/watching.ts';
import { withLedger } from './bench-ledger.ts';
import { withProofs } from './bench-proofs.ts';
import { withWindow, withWorkers } from './bench-workers.ts';
import { withYield } from './bench-yield.ts';
import { HearthlendError } from './contract/errors.ts';
import type { EmbeddedCoordinator } from './contract/jobs.ts';
import type { SignalSource } from './contract/policy.ts';
import { Rules } from './contract/rules.ts';
import { Settings } from './contract/settings.ts';
import { openDataDir } from './datadir/open.ts';
import { readHardware } from './hardware/read.ts';
import { describeModel } from './models/describe.ts';
import { createPolicy } from './policy/controller.ts';
import { changedRules } from './policy/presets.ts';
import { loadPromptModel } from './prompt-model.ts';
import { saveSettings } from './settings/settings.ts';
import { processTree, treeUsage } from './supervisor/process-usage.ts';
import { findNvidiaSmi, nvidiaSource } from './telemetry/nvidia.ts';
import { createSampler } from './telemetry/sampler.ts';

/** One line of the bench: the machine first, then figures as they are measured. */
export type BenchLine = Machine | Measure;

/** A coordinator on one of the stores that there are, by that store's name. */
export interface CoordinatorBench extends LeasingBench, RecordingBench {
  name: string;
}

export interface BenchOptions {
  /** The ports of an agent on another data folder. */
  ports(dataDir: string): AppPorts;
  /** Coordinators without a network, one after the other; each is closed when the next one is asked for. */
  coordinators(dir: string): AsyncIterable<CoordinatorBench>;
  /** The folder in which the bench works, on the disk that is measured with it: the data folder. */
  dataDir: string;
  /** How this program is started: its command line without a command. */
  command: readonly [string, ...string[]];
  /** Seconds instead of minutes, and figures to match. */
  quick: boolean;
}

/** What the agent costs on this machine, each part against doing without it, in one run. The machine's state comes first. */
export async function* runBench(options: BenchOptions): AsyncGenerator<BenchLine> {
  const { quick } = options;
  openDataDir(options.dataDir);
  const dir = mkdtempSync(join(options.dataDir, 'bench-'));
  try {
    yield describeMachine(THREADS);
    yield* withInventory(options, dir);
    yield* withProofs(options.ports(dir), dir, () =>
      readHardware({ dataDir: dir, nodePath: options.ports(dir).parts.nodePath, env: process.env }),
    );
    yield* withMachine(options, dir);
    yield* withTelemetry(quick);
    yield* withWatching(options, dir);
    yield* withAgent(options, dir);
    yield* withYield(options.ports, join(dir, 'yielding'), quick);
    yield* withWorkers(options.ports(dir), dir, quick);
    yield* withWindow(options.ports(dir), dir, quick);
    yield* withLedger(dir, quick);
    for await (const coordinator of options.coordinators(dir)) {
      yield* measureRecording(coordinator, coordinator.name, quick);
      yield* measureLeasing(coordinator, coordinator.name, quick);
    }
    const { command } = options;
    const newDataDir = () => {
      const dataDir = mkdtempSync(join(dir, 'agent-'));
      // A battery or a game is no reason to measure nothing.
      saveSettings(join(dataDir, 'settings.json'), Settings.parse({ rules: changedRules(Rules.parse({}), { preset: 'always' }) }));
      return dataDir;
    };
    yield* measureProgram({ command, newDataDir, usage: treeUsage }, quick);
  } finally {
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

function withInventory({ ports, dataDir, quick }: BenchOptions, dir: string): AsyncGenerator<Measure> {
  const { nodePath } = ports(dir).parts;
  const read = (path: string) => readHardware({ dataDir, nodePath, env: { ...process.env, PATH: path } });
  return measureInventory({ read, path: process.env.PATH ?? '', dir }, quick);
}

/** What the machine can do, on each backend: its benchmark, in a whole agent that does nothing else. */
async function* withMachine({ ports, quick }: BenchOptions, dir: string): AsyncGenerator<Measure> {
  const app = await createApp(ports(join(dir, 'measured')));
  try {
    yield* machineScore(await app.handlers['benchmark.run']({ quick, evenIfBusy: true }));
  } finally {
    await app.stop({ now: true });
  }
}

/** The telemetry of this machine; this process stands for a worker, whose usage is looked at with each sample. */
async function* withTelemetry(quick: boolean): AsyncGenerator<Measure> {
  const program = findNvidiaSmi(process.platform, process.env);
  const nvidia = program === null ? null : nvidiaSource({ program });
  const workers = () => {
    const usage = treeUsage(process.pid);
    return usage === null ? null : { ...usage, pids: processTree(process.pid) ?? [] };
  };
  const take = createSampler({ clock: Date.now, workers, nvidia });
  const bench = {
    sample: () => void take(performance.now()),
    start: () => nvidia?.start(),
    stop: () => nvidia?.stop(),
    pids: () => nvidia?.pids() ?? [],
    usage: treeUsage,
  };
  yield* measureTelemetry(bench, quick);
}

/** The sources that the shell hands in, and the deciding from what they tell. */
function withWatching({ ports, quick }: BenchOptions, dir: string): AsyncGenerator<Measure> {
  const { signalSources = [], clock, log } = ports(dir);
  const start: WatchingBench['start'] = (added, onPrograms) => {
    const rules = Rules.parse({ programs: { added } });
    const policy = createPolicy({
      sources: signalSources.map((source) => hearing(source, onPrograms)),
      devices: () => ['cpu'],
      rules: () => rules,
      working: () => false,
      clock,
      steady: () => performance.now(),
      utcOffsetMinutes: () => 0,
      log,
      onDecisions: () => undefined,
    });
    policy.start();
    return { stop: () => policy.close() };
  };
  return measureWatching({ dir, start, usage: treeUsage }, quick);
}

/** A source whose word of running programs is heard besides. */
function hearing(source: SignalSource, onPrograms: (names: readonly string[]) => void): SignalSource {
  return {
    name: source.name,
    start: (context) =>
      source.start({
        ...context,
        publish(change) {
          context.publish(change);
          if (change.programs != null) onPrograms(change.programs.map(({ name }) => name));
        },
      }),
  };
}

/** A whole agent whose own network lends what the bench hands in. */
async function* withAgent({ ports: portsOf, quick }: BenchOptions, dir: string): AsyncGenerator<Measure> {
  const ports = portsOf(join(dir, 'whole'));
  let opened: { gate: Gate; intake: EmbeddedCoordinator } | undefined;
  const app = await createApp({
    ...ports,
    signalSources: [],
    async createCoordinator(needs) {
      const intake = await ports.createCoordinator(needs);
      const gate = createGate(intake);
      opened = { gate, intake };
      return gate.coordinator;
    },
  });
  if (opened === undefined) throw new HearthlendError('INTERNAL', { detail: 'the agent made no network' });
  try {
    await app.start({ shards: null, networks: [opened.intake.id], practice: false });
    yield* measureShards({ ...opened, describeModel }, dir, quick);
    const { local, decoder, encode } = await loadPromptModel(ports.parts.practiceModel);
    const modelPath = local.files.get(local.manifest.entry) as string;
    yield* measureGeneration({ ...opened, model: local, modelPath, decoder, prompt: encode('light (noun):') }, quick);
  } finally {
    await app.stop({ now: true });
  }
}
