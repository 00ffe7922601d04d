import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createApp } from './app.ts';
import type { AppPorts } from './app-ports.ts';
import { createGate, type Gate } from './bench/gate.ts';
import { measureGeneration } from './bench/generation.ts';
import { measureInventory } from './bench/inventory.ts';
import { type Life, measureLedger } from './bench/ledger.ts';
import { describeMachine, type Machine } from './bench/machine.ts';
import type { Measure } from './bench/measure.ts';
import { measureProgram } from './bench/program.ts';
import { measureSandbox } from './bench/sandbox.ts';
import { machineScore } from './bench/score.ts';
import { measureShards, THREADS, writeModel } from './bench/shards.ts';
import { measureTelemetry } from './bench/telemetry.ts';
import { CPU } from './contract/backends.ts';
import { HearthlendError } from './contract/errors.ts';
import type { DescribedModel, EmbeddedCoordinator } from './contract/jobs.ts';
import type { SignedBatch } from './contract/receipt.ts';
import type { Shard } from './contract/shard.ts';
import { openDataDir } from './datadir/open.ts';
import { readHardware } from './hardware/read.ts';
import { openIdentity } from './identity/identity.ts';
import type { LedgerEvent } from './ledger/event.ts';
import { openLedger } from './ledger/ledger.ts';
import { describeModel } from './models/describe.ts';
import { createVet } from './models/vetting/vet.ts';
import { loadPromptModel } from './prompt-model.ts';
import { nativeWorkers } from './supervisor/native-process.ts';
import { processTree, treeUsage } from './supervisor/process-usage.ts';
import { detectWall } from './supervisor/sandbox/detect.ts';
import { resolveNeeds } from './supervisor/sandbox/needs.ts';
import { planBare, planLaunch } from './supervisor/sandbox/plan.ts';
import { createSupervisor } from './supervisor/supervisor.ts';
import { findNvidiaSmi, nvidiaSource } from './telemetry/nvidia.ts';
import { createSampler } from './telemetry/sampler.ts';

/** One line of the bench: the machine first, then figures as they are measured. */
export type BenchLine = Machine | Measure;

export interface BenchOptions {
  /** The ports of an agent on another data folder. */
  ports(dataDir: string): AppPorts;
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
    yield* withMachine(options, dir);
    yield* withTelemetry(quick);
    yield* withAgent(options, dir);
    yield* withWorkers(options, dir, quick);
    yield* withLedger(dir, quick);
    const { command } = options;
    const newDataDir = () => mkdtempSync(join(dir, 'agent-'));
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

/** A whole agent whose own network lends what the bench hands in. */
async function* withAgent({ ports: portsOf, quick }: BenchOptions, dir: string): AsyncGenerator<Measure> {
  const ports = portsOf(join(dir, 'whole'));
  let opened: { gate: Gate; intake: EmbeddedCoordinator } | undefined;
  const app = await createApp({
    ...ports,
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

const SCRATCH_BYTES = 64 * 2 ** 20;
const HEAP_MIB = 512;
/** Links of a chain that computes for about a millisecond, and for some seconds. */
const SHORT_LINKS = 6;
const LONG_LINKS = 30_000;

/** Two workers without an agent: one behind the machine's wall, one behind none. */
async function* withWorkers({ ports: portsOf }: BenchOptions, dir: string, quick: boolean): AsyncGenerator<Measure> {
  const { clock, parts } = portsOf(dir);
  const { nodePath, workerScript: scriptPath } = parts;
  const needs = await resolveNeeds({ nodePath, scriptPath, modelsDir: dir, scratchBytes: SCRATCH_BYTES, heapMiB: HEAP_MIB });
  const wall = await detectWall(needs);
  // Nothing to compare where there is no wall.
  if (wall.program === null) return;
  const worker = (name: string, launch: typeof planBare) => {
    const options = { workDir: join(dir, name), modelMemoryBytes: 2 ** 30, vet: createVet(), clock };
    const supervisor = createSupervisor({ ...options, start: nativeWorkers(({ modelsDir }) => launch({ ...needs, modelsDir })) });
    return {
      compute: (shard: Shard, { manifest, files }: DescribedModel, inputs: Uint8Array) =>
        supervisor.run({ shard, model: { digest: shard.model.digest, manifest, files }, inputs, threads: THREADS, provider: CPU }),
      stop: () => supervisor.stop(),
      dispose: () => supervisor.dispose(),
    };
  };
  const walled = worker('walled', (all) => planLaunch(wall, all));
  const bare = worker('bare', planBare);
  const chain = async (links: number) => ({ links, model: await describeModel(writeModel(dir, links)) });
  try {
    const [short, long] = [await chain(SHORT_LINKS), await chain(LONG_LINKS)];
    yield* measureSandbox({ wall: wall.wall, walled, bare, short, long }, quick);
  } finally {
    await Promise.all([walled.dispose(), bare.dispose()]);
  }
}

async function* withLedger(dir: string, quick: boolean): AsyncGenerator<Measure> {
  const signer = openIdentity(join(dir, 'bench-identity.json'));
  const ledger = openLedger({ path: join(dir, 'bench-ledger.db'), signer });
  try {
    yield* measureLedger(
      {
        signer,
        record: (lives, batch) => ledger.record([...lives.flatMap(eventsOf), ...(batch === null ? [] : [batchEvent(lives, batch)])]),
        verify: () => ledger.verify(),
        export: () => ledger.export('csv', null, null),
      },
      quick,
    );
  } finally {
    ledger.close();
  }
}

function batchEvent(lives: readonly Life[], { batch, coordinatorSignature }: SignedBatch): LedgerEvent {
  const at = lives.at(-1)?.at ?? 0;
  return { kind: 'batch', at, batch, coordinator: batch.worker, coordinatorSignature, workerSignature: coordinatorSignature };
}

function eventsOf({ at, receipt }: Life): LedgerEvent[] {
  const { network, shardId, attempt, jobId, asset, unitPrice, payee, modelHash, inputHash, outputCommitment, units } = receipt;
  const key = { at, network, shardId, attempt };
  return [
    {
      kind: 'shard.leased',
      ...key,
      jobId,
      shardKind: 'onnx.run',
      origin: 'own',
      model: modelHash,
      inputs: inputHash,
      asset,
      priceUnit: 'run',
      unitPrice,
      payee,
    },
    { kind: 'shard.fetched', ...key },
    { kind: 'shard.running', ...key },
    { kind: 'shard.computed', ...key, outputs: outputCommitment, outputBytes: 64, units, runMs: 1 },
    { kind: 'shard.submitted', ...key },
    { kind: 'shard.accepted', at, receipt, audited: false },
  ];
}
