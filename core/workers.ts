import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import type { AppPorts } from './app-ports.ts';
import { openRecord } from './backends/record.ts';
import { type BackendReport, CPU, type Provider } from './contract/backends.ts';
import type { GpuId, HardwareReport } from './contract/hardware.ts';
import type { IsolationReport } from './contract/isolation.ts';
import type { ReferenceWorker } from './contract/jobs.ts';
import { ref } from './contract/messages.ts';
import type { Decision, DeviceId } from './contract/policy.ts';
import type { Settings } from './contract/settings.ts';
import type { Shard } from './contract/shard.ts';
import type { GpuSample } from './contract/telemetry.ts';
import type { StartWorker, Usage } from './contract/worker-host.ts';
import { proveCpu, proveGpus } from './gpu-proofs.ts';
import { type ComputedOn, type GpuWorker, openGpuWorkers } from './gpu-workers.ts';
import { createVet } from './models/vetting/vet.ts';
import { openStageWorkers, type StageWorkers } from './stage-workers.ts';
import { nativeWorkers } from './supervisor/native-process.ts';
import { processTree } from './supervisor/process-usage.ts';
import { detectWall } from './supervisor/sandbox/detect.ts';
import type { DeviceAccess } from './supervisor/sandbox/device-access.ts';
import { resolveNeeds } from './supervisor/sandbox/needs.ts';
import { planLaunch, type Wall } from './supervisor/sandbox/plan.ts';
import { probeIsolation } from './supervisor/sandbox/probe.ts';
import { createSupervisor, type RunHooks, type ShardTask, type Supervisor } from './supervisor/supervisor.ts';
import { openWindowWorker } from './window-worker.ts';
import type { WorkPorts } from './work/ports.ts';

const SCRATCH_BYTES = 64 * 2 ** 20;
const HEAP_MIB = 512;

/**
 * The workers of this agent: those that earn, one on each GPU that was proven and the CPU's beside them; and the reference's own, on the CPU; with
 * the wall that all run behind.
 */
export interface Workers {
  compute: (...task: Parameters<WorkPorts['compute']>) => Promise<ComputedOn>;
  /** Tries what computes here, and lets the GPUs that can; until then the CPU computes. @param again tries anew what failed before */
  prove(hardware: Pick<HardwareReport, 'gpus'>, again: boolean): Promise<BackendReport>;
  /** What is known of that so far. */
  backends(): BackendReport;
  /** Those on GPUs. */
  gpus(): readonly GpuWorker[];
  /** The settings changed. */
  choose(): Promise<void>;
  reference: ReferenceWorker;
  warmModels: Supervisor['warmModels'];
  load(): number | null;
  /** How many more stages of decoders may be kept here, and how large one may be. */
  stageRoom: StageWorkers['room'];
  /** How many shards can be computed at once: one on each GPU that may, else one on the processor. */
  lanes(): number;
  /** Devices that earn: the GPUs that compute, else the processor. */
  devices(): DeviceId[];
  /** Holds each device to what was decided for it: its share of the time, or nothing. Resolves when those that are to do nothing are gone. */
  govern(decisions: readonly Decision[]): Promise<void>;
  /** Holds the workers on GPUs to what they may hold of those GPUs' memory, by what the machine tells of it. */
  limitVram(samples: readonly GpuSample[]): void;
  /** Loads a model into the worker that would compute this shard next. */
  warm(shard: Shard, model: ShardTask['model']): Promise<void>;
  running(): boolean;
  /** What the workers use together, and their processes as this system counts them; null while there are none. */
  usage(): (Usage & { pids: number[] }) | null;
  /** A worker on each backend that works, beside those that earn, behind the same wall: to be started, and disposed of. */
  spares(): SpareWorker[];
  /** Threads that work of this origin has, where it leaves their number open. */
  threads(origin: Shard['origin']): number;
  isolation(): IsolationReport;
  /** The wall itself, for other processes that are to stand behind one. */
  wall: Wall;
  /** Tries to break out of the identical sandbox, and keeps the answer. */
  probe(): Promise<IsolationReport>;
  /** Kills both; the next shard starts them again. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

/** A worker that earns nothing: on the processor, or on a GPU; `gpu` is null also for a page that isn't told which one it has. */
interface SpareWorker {
  gpu: GpuId | null;
  provider: Provider;
  /** What models may take of its device. */
  memoryBytes: number;
  open(): Supervisor;
}

/** Threads for a shard that leaves their number open: half the cores for practice, all but one for other work. */
export function threadsFor(origin: Shard['origin'], setting: number | null, cores: number): number {
  if (setting !== null) return Math.min(setting, cores);
  return Math.max(1, origin === 'practice' ? Math.floor(cores / 2) : cores - 1);
}

interface WorkersOptions {
  ports: AppPorts;
  settings: { current: Settings };
  /** Called when a report is new. */
  onChange(field: 'isolation' | 'backends'): void;
}

/** @throws WORKER_START_FAILED where a part of the program is missing. */
export async function openWorkers({ ports, settings, onChange }: WorkersOptions): Promise<Workers> {
  const { dataDir, clock, log, parts } = ports;
  const cores = availableParallelism();
  const wanted = {
    nodePath: parts.nodePath,
    scriptPath: parts.workerScript,
    modelsDir: dataDir,
    scratchBytes: SCRATCH_BYTES,
    heapMiB: HEAP_MIB,
  };
  const needs = await resolveNeeds(wanted);
  const wall = await detectWall(needs);
  let report: IsolationReport = { level: wall.level, wall: wall.wall, reason: wall.reason, remedy: wall.remedy, probe: null };
  let probing: Promise<IsolationReport> | undefined;

  const vet = createVet();
  const superviseWith = (name: string, modelMemoryBytes: number, start: StartWorker) =>
    createSupervisor({ workDir: join(dataDir, 'workers', name), start, modelMemoryBytes, vet, clock, log });
  const supervise = (name: string, modelMemoryBytes: number, device: DeviceAccess | null = null) =>
    superviseWith(
      name,
      modelMemoryBytes,
      nativeWorkers(({ modelsDir }) => planLaunch(wall, { ...needs, modelsDir, device })),
    );
  const worker = supervise('cpu', settings.current.worker.modelMemoryBytes);
  const reference = supervise('reference', settings.current.worker.modelMemoryBytes);
  const threads = ({ origin }: Pick<Shard, 'origin'>) => threadsFor(origin, settings.current.worker.threads, cores);

  const probeWith = (device: DeviceAccess | null): Promise<IsolationReport> => {
    const inside = { ...needs, scriptPath: parts.probeScript, modelsDir: join(dataDir, 'workers'), device };
    return probeIsolation(wall, inside, secretsOf(dataDir));
  };
  const probeNative = async (): Promise<IsolationReport> => {
    report = await probeWith(null);
    onChange('isolation');
    return report;
  };
  const record = openRecord(join(dataDir, 'backends', 'tested.json'));
  const proving = { ports, needs, wall, record, env: process.env };
  const gpus = openGpuWorkers({
    ...{ log, settings, record, supervise },
    proveGpus: (found, again, signal) => proveGpus(proving, found, again, signal),
    proveCpu: (signal) => proveCpu(proving, signal),
    holds: async (device) => wall.program === null || (await probeWith(device)).level === wall.level,
    onChange: () => onChange('backends'),
  });
  const window = openWindowWorker({
    ...{ ports, platform: process.platform, settings, native: wall.level },
    supervise: (name, start) => superviseWith(name, settings.current.worker.modelMemoryBytes, start),
    onlyGpu: () => (gpus.report().gpus.length === 1 ? (gpus.report().gpus[0]?.gpu ?? null) : null),
    onChange,
  });
  const stages = openStageWorkers({
    gpus: () => gpus.workers(),
    cpuMemoryBytes: () => Math.min(settings.current.worker.modelMemoryBytes, totalmem()),
    options: (modelMemoryBytes, device) => ({
      ...{ workDir: join(dataDir, 'workers', 'stages'), vet, clock, log },
      modelMemoryBytes: modelMemoryBytes ?? settings.current.worker.modelMemoryBytes,
      start: nativeWorkers(({ modelsDir }) => planLaunch(wall, { ...needs, modelsDir, device })),
    }),
  });
  /** While the window computes, no native worker does. */
  const reported = (found: BackendReport): BackendReport => {
    if (!window.chosen()) return found;
    const detail = window.trouble();
    return { ...found, workers: [], reason: detail === null ? ref('backend.window-serves') : ref('backend.window-broken', { detail }) };
  };
  const earning = () => [
    worker,
    ...[...gpus.workers().map(({ supervisor }) => supervisor), window.supervisor()].filter((each) => each !== null),
  ];

  return {
    compute({ shard, model, inputs }, hooks) {
      const task = { shard, model, inputs, threads: threads(shard) };
      if (shard.kind === 'onnx.generate' && shard.stage !== undefined) return stages.compute(task, hooks);
      const onCpu = async (hooks: RunHooks): Promise<ComputedOn> => ({
        ...(await worker.run({ ...task, provider: CPU }, hooks)),
        backend: 'cpu',
        gpu: null,
      });
      const onNative = () => gpus.compute(task, hooks, onCpu) ?? onCpu(hooks);
      return window.chosen() ? window.compute(task, hooks, onNative) : onNative();
    },
    prove: async (hardware, again) => reported(await gpus.prove(hardware, again)),
    backends: () => reported(gpus.report()),
    gpus: () => gpus.workers(),
    choose: async () => void (await Promise.all([gpus.choose(), window.choose()])),
    reference: {
      async compute({ model, shard, inputs, forced }) {
        const { digest, local } = model;
        const files = { digest, manifest: local.manifest, files: local.files };
        const task = { shard, model: files, inputs, threads: threads(shard), provider: CPU };
        return (await reference.run(forced === undefined ? task : { ...task, forced })).outputs;
      },
    },
    warmModels: () => [...new Set(earning().flatMap((each) => each.warmModels()))],
    load: () =>
      earning()
        .map((each) => each.load())
        .find((load) => load !== null) ?? null,
    stageRoom: stages.room,
    lanes: () => Math.max(1, gpus.workers().filter(({ aside }) => !aside).length),
    devices: () => (gpus.workers().length > 0 ? gpus.workers().map(({ gpu }) => gpu) : ['cpu']),
    async govern(decisions) {
      const leaving: Promise<unknown>[] = [window.govern(decisions)];
      for (const { device, act, duty } of decisions) {
        const lane = gpus.workers().find(({ gpu }) => gpu === device);
        const supervisor = device === 'cpu' ? worker : lane?.supervisor;
        if (act !== 'pause') supervisor?.setDuty(duty);
        if (lane === undefined) continue;
        if (act === 'pause' && !lane.aside) leaving.push(lane.supervisor.stop());
        lane.aside = act === 'pause';
      }
      await Promise.all(leaving);
    },
    // A window's part of it isn't told apart from theirs.
    limitVram: (samples) => (window.supervisor()?.running() ? undefined : gpus.limitVram(samples)),
    async warm(shard, model) {
      const lane = gpus.workers().find(({ aside, refuses }) => !aside && !refuses(model.digest));
      const task = { shard, model, threads: threads(shard) };
      if (window.chosen()) await window.warm(task);
      else if (lane === undefined) await worker.warm({ ...task, provider: CPU });
      else await lane.supervisor.warm({ ...task, provider: lane.binding.provider });
    },
    running: () => earning().some((each) => each.running()) || reference.running() || stages.usages().length > 0,
    usage: () => sumOf([...[...earning(), reference].map((each) => each.usage()), ...stages.usages()]),
    spares() {
      const { modelMemoryBytes } = settings.current.worker;
      const onCpu = { gpu: null, provider: CPU, memoryBytes: Math.min(modelMemoryBytes, totalmem()) };
      // Where a page computes, the native worker's WebGPU doesn't.
      const page = window.spare();
      const native = gpus.proven().filter(({ binding }) => page === null || binding.provider.name !== page.provider.name);
      const onGpus = native.map(({ gpu, memoryBytes, binding }) => ({
        ...{ gpu, provider: binding.provider, memoryBytes },
        open: () => supervise(`spare-${gpu.replaceAll(/[^0-9a-z]+/g, '-')}-${binding.provider.name}`, memoryBytes, binding.access),
      }));
      const onPage = page === null ? [] : [{ ...page, memoryBytes: onCpu.memoryBytes }];
      return [{ ...onCpu, open: () => supervise('spare-cpu', modelMemoryBytes) }, ...onPage, ...onGpus];
    },
    threads: (origin) => threads({ origin }),
    isolation: () => (window.chosen() ? window.isolation() : report),
    wall,
    probe: () =>
      (probing ??= (window.chosen() ? window.probe() : probeNative()).finally(() => {
        probing = undefined;
      })),
    stop: async () => void (await Promise.all([...earning(), reference].map((each) => each.stop()))),
    async close() {
      // It tidies up after itself.
      await probing?.catch(() => undefined);
      await Promise.all([gpus.close(), window.close(), worker.dispose(), reference.dispose()]);
    },
  };
}

function sumOf(all: readonly ReturnType<Supervisor['usage']>[]): ReturnType<Workers['usage']> {
  const running = all.filter((each) => each !== null);
  if (running.length === 0) return null;
  return {
    cpuMs: running.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    residentBytes: running.reduce((sum, { residentBytes }) => sum + residentBytes, 0),
    pids: running.flatMap(({ pid }) => (pid === undefined ? [] : (processTree(pid) ?? []))),
  };
}

/** What must stay closed to a worker whatever else is open. */
function secretsOf(dataDir: string): Array<{ label: string; path: string }> {
  return ['identity.json', 'coordinator-identity.json', 'ledger.db', 'settings.json', 'wallet/keystore.json'].map((name) => ({
    label: name.replace(/\W+/g, '-'),
    path: join(dataDir, name),
  }));
}
