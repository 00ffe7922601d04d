import { totalmem } from 'node:os';
import type { AppPorts } from './app-ports.ts';
import { chooseWorkers } from './backends/choose.ts';
import { afterFailure, type Lane, pickLane } from './backends/lanes.ts';
import { unavailable, untestedCpu } from './backends/prove.ts';
import type { BackendRecord } from './backends/record.ts';
import { overVram } from './backends/vram-limit.ts';
import type { Backend, BackendName, BackendReport, Provider } from './contract/backends.ts';
import type { Sha256 } from './contract/digest.ts';
import { asHearthlendError, HearthlendError } from './contract/errors.ts';
import type { Gpu, GpuId, HardwareReport } from './contract/hardware.ts';
import { type MessageRef, ref } from './contract/messages.ts';
import { createSerial } from './contract/serial.ts';
import type { Settings } from './contract/settings.ts';
import type { GpuSample } from './contract/telemetry.ts';
import type { Binding, Proof } from './gpu-proofs.ts';
import { type Computed, type RunHooks, type ShardTask, type Supervisor, toldOnce } from './supervisor/supervisor.ts';

/** What a shard's run came to, and on what. */
export type ComputedOn = Computed & { backend: BackendName; gpu: GpuId | null };

/** A worker on one GPU, and what it is bound to. */
export interface GpuWorker extends Lane {
  gpu: GpuId;
  memoryBytes: number;
  /** What it may hold of the GPU's own memory; null where the GPU has none, or its size isn't known. */
  vramLimitBytes: number | null;
  binding: Binding;
  supervisor: Supervisor;
  /** Ends what it computes now for what it holds of the GPU. */
  limit: AbortController | null;
}

/** The workers on GPUs: none until a backend is proven, and those that the settings allow. */
export interface GpuWorkers {
  /** Tries what wasn't tried, and lets the GPUs compute that can. One at a time. @param again tries anew what failed, and the CPU */
  prove(hardware: Pick<HardwareReport, 'gpus'>, again: boolean): Promise<BackendReport>;
  /** The settings changed. */
  choose(): Promise<void>;
  report(): BackendReport;
  workers(): readonly GpuWorker[];
  /** Every backend that works on a GPU, whether it was chosen or not. */
  proven(): { gpu: GpuId; memoryBytes: number; binding: Binding }[];
  /** Computes on a free GPU that takes this model; undefined where the CPU is to. `cpu` computes what a GPU could not. */
  compute(
    task: Omit<ShardTask, 'provider'>,
    hooks: RunHooks,
    cpu: (hooks: RunHooks) => Promise<ComputedOn>,
  ): Promise<ComputedOn> | undefined;
  /** Kills what holds more of a GPU's memory than it may; what it computes fails with WORKER_OUT_OF_VRAM. */
  limitVram(samples: readonly GpuSample[]): void;
  close(): Promise<void>;
}

interface GpuWorkersOptions {
  log: AppPorts['log'];
  settings: { current: Settings };
  /** What was found out about backends, of which the refusals are kept here. */
  record: BackendRecord;
  proveGpus(gpus: readonly Gpu[], again: boolean, signal: AbortSignal): Promise<Proof[]>;
  proveCpu(signal: AbortSignal): Promise<Backend>;
  /** A supervisor of a worker that sees this device. */
  supervise(name: string, modelMemoryBytes: number, device: Binding['access']): Supervisor;
  /** Whether the sandbox holds with this device in it. */
  holds(device: Binding['access']): Promise<boolean>;
  onChange(): void;
}

export function openGpuWorkers(options: GpuWorkersOptions): GpuWorkers {
  const { log, settings, record, supervise, holds, onChange } = options;
  const closing = new AbortController();
  let proofs: Proof[] | null = null;
  let cpu: Backend = untestedCpu();
  let workers: GpuWorker[] = [];
  /** Devices with which the sandbox was tried, by what they are bound to. */
  const held = new Map<string, boolean>();
  /** Workers that are being killed for what they hold. */
  const leaving = new Set<GpuWorker>();
  const inTurn = createSerial();

  function memoryFor({ vramBytes }: Gpu): number {
    const { modelMemoryBytes, gpus } = settings.current.worker;
    const shared = Math.min(modelMemoryBytes, totalmem());
    return Math.min(shared, Math.floor((vramBytes ?? shared) * gpus.memoryShare));
  }

  /** Workers that stay go on with what they do; those that are not wanted any more are killed. */
  async function choose(): Promise<void> {
    const chosen = chooseWorkers(proofs ?? [], settings.current.worker, Math.min(settings.current.worker.modelMemoryBytes, totalmem()));
    const next: GpuWorker[] = [];
    for (const { gpu, backend, memoryBytes } of chosen) {
      const binding = proofs?.find((proof) => proof.gpu.id === gpu.id)?.bindings.get(backend);
      if (binding === undefined || !(await isHeld(gpu.id, backend, binding))) continue;
      const same = workers.find((each) => each.gpu === gpu.id && each.binding.key === binding.key && each.memoryBytes === memoryBytes);
      next.push(same ?? open(gpu, memoryBytes, binding));
    }
    const unwanted = workers.filter((each) => !next.includes(each));
    workers = next;
    await Promise.all(unwanted.map(({ supervisor }) => supervisor.dispose()));
    onChange();
  }

  function open({ id: gpu, vramBytes }: Gpu, memoryBytes: number, binding: Binding): GpuWorker {
    const supervisor = supervise(`gpu-${gpu.replaceAll(/[^0-9a-z]+/g, '-')}`, memoryBytes, binding.access);
    log('info', 'gpu-adopted', { gpu, backend: binding.provider.name, memoryBytes });
    return {
      ...{ gpu, memoryBytes, binding, supervisor, handed: 0, aside: false, limit: null },
      vramLimitBytes: vramBytes === null ? null : memoryBytes,
      backend: binding.provider.name,
      get warm() {
        return supervisor.warmModels();
      },
      refuses: (model) => record.refuses(binding.key, model),
    };
  }

  /** A driver inside is more to break out with, so that the attempts are made anew with it. What breaks is not used, and said. */
  async function isHeld(gpu: GpuId, backend: BackendName, { key, access }: Binding): Promise<boolean> {
    const known = held.get(key) ?? (await holds(access));
    held.set(key, known);
    if (!known) {
      log('error', 'the sandbox does not hold with this GPU', { gpu, backend });
      const broken = unavailable(backend, { reason: ref('backend.broken-sandbox'), remedy: null });
      proofs = (proofs ?? []).map((proof) =>
        proof.gpu.id === gpu ? { ...proof, backends: proof.backends.map((each) => (each.name === backend ? broken : each)) } : proof,
      );
    }
    return known;
  }

  async function onGpu(
    lane: GpuWorker,
    task: Omit<ShardTask, 'provider'>,
    hooks: RunHooks,
    onCpu: (hooks: RunHooks) => Promise<ComputedOn>,
  ) {
    // What was told is not told again by who begins anew.
    const once = { ...hooks, ...toldOnce(hooks) };
    const provider: Provider = lane.binding.provider;
    try {
      const made = await runWithin(lane, { ...task, provider }, once);
      return { ...made, backend: lane.backend, gpu: lane.gpu };
    } catch (thrown) {
      const { code, params } = asHearthlendError(thrown);
      const { cpuTries, remember } = afterFailure(code, String(params.detail ?? params.how ?? ''));
      if (!cpuTries || hooks.signal?.aborted === true) throw thrown;
      // What an error says of a stranger's inputs is not logged.
      const said = task.shard.origin === 'network' ? {} : { params };
      log('warn', 'the CPU takes over', { gpu: lane.gpu, backend: lane.backend, model: task.model.digest, code, ...said });
      const made = await onCpu(once);
      if (remember) refuse(lane, task.model.digest);
      return made;
    } finally {
      lane.handed -= 1;
    }
  }

  async function runWithin(lane: GpuWorker, task: ShardTask, hooks: RunHooks): Promise<Computed> {
    const limit = new AbortController();
    const signal = AbortSignal.any([limit.signal, ...(hooks.signal === undefined ? [] : [hooks.signal])]);
    // Whether what the worker holds can only be this shard's.
    const alone = task.alone === true || (lane.handed === 1 && !lane.supervisor.running());
    const onBegin = () => {
      lane.limit = limit;
      hooks.onBegin?.();
    };
    try {
      return await lane.supervisor.run(task, { ...hooks, signal, onBegin });
    } catch (thrown) {
      // It may have paid for what earlier shards left, and for a reading from before it began.
      if (alone || thrown !== limit.signal.reason) throw thrown;
      return await runWithin(lane, { ...task, alone: true }, hooks);
    } finally {
      if (lane.limit === limit) lane.limit = null;
      leaving.delete(lane);
    }
  }

  function limitVram(samples: readonly GpuSample[]): void {
    for (const { worker, heldBytes, limitBytes } of overVram(samples, workers)) {
      const { gpu, supervisor, limit } = worker;
      if (leaving.has(worker) || !supervisor.running()) continue;
      leaving.add(worker);
      log('warn', 'gpu-memory-limit', { gpu, heldBytes, limitBytes });
      if (limit !== null) {
        // Kills it, and what waits in it goes to the next.
        limit.abort(new HearthlendError('WORKER_OUT_OF_VRAM', { limitBytes }));
        continue;
      }
      // What is not computing, but loading ahead, or idle.
      supervisor
        .stop()
        .catch((thrown: unknown) => log('error', 'a worker could not be stopped', { gpu, code: asHearthlendError(thrown).code }))
        .finally(() => leaving.delete(worker));
    }
  }

  function refuse({ binding, gpu }: GpuWorker, model: Sha256): void {
    try {
      record.refused(binding.key, model);
    } catch (thrown) {
      // It is found out again then.
      log('warn', 'could not be recorded', { gpu, model, code: asHearthlendError(thrown).code });
    }
  }

  function reason(): MessageRef | null {
    if (workers.length > 0) return null;
    if (settings.current.worker.gpus.backend === 'cpu') return ref('backend.cpu-serves-chosen');
    if (proofs === null) return ref('backend.cpu-serves-untested');
    if (proofs.length === 0) return ref('backend.cpu-serves-none');
    return ref(
      proofs.some(({ backends }) => backends.some(({ works }) => works)) ? 'backend.cpu-serves-chosen' : 'backend.cpu-serves-broken',
    );
  }

  const report = (): BackendReport => ({
    cpu,
    gpus: (proofs ?? []).map(({ gpu, backends }) => ({ gpu: gpu.id, backends: [...backends] })),
    workers: workers.map(({ gpu, backend, memoryBytes }) => ({ gpu, backend, memoryBytes })),
    reason: reason(),
  });

  return {
    prove: ({ gpus }, again) =>
      inTurn(async () => {
        if (closing.signal.aborted) return report();
        if (again) cpu = await options.proveCpu(closing.signal);
        proofs = await options.proveGpus(gpus, again, closing.signal);
        if (!closing.signal.aborted) await choose();
        return report();
      }),
    choose: () => inTurn(choose),
    report,
    workers: () => workers,
    proven: () =>
      (proofs ?? []).flatMap(({ gpu, backends, bindings }) =>
        backends.flatMap(({ name, works, software }) => {
          const binding = bindings.get(name);
          return works && !software && binding !== undefined ? [{ gpu: gpu.id, memoryBytes: memoryFor(gpu), binding }] : [];
        }),
      ),
    compute(task, hooks, onCpu) {
      const lane = pickLane(workers, task.model.digest);
      if (lane === undefined) return undefined;
      lane.handed += 1;
      return onGpu(lane, task, hooks, onCpu);
    },
    limitVram,
    async close() {
      closing.abort();
      await inTurn(async () => undefined);
      await Promise.all(workers.map(({ supervisor }) => supervisor.dispose()));
    },
  };
}
