import type { AppPorts } from './app-ports.ts';
import type { Provider } from './contract/backends.ts';
import { asHearthlendError, type ErrorCode } from './contract/errors.ts';
import type { GpuId } from './contract/hardware.ts';
import type { IsolationLevel, IsolationReport } from './contract/isolation.ts';
import { ref } from './contract/messages.ts';
import type { Decision } from './contract/policy.ts';
import type { Settings } from './contract/settings.ts';
import type { GpuWindowHost, StartWorker } from './contract/worker-host.ts';
import { chooseWorker } from './gpu-window/choose.ts';
import type { ComputedOn } from './gpu-workers.ts';
import type { RunHooks, ShardTask, Supervisor } from './supervisor/supervisor.ts';

const WEBGPU: Provider = { name: 'webgpu', deviceId: 0 };

/** The GPU window of this agent, beside its native workers: one of them computes, not both. */
export interface WindowWorker {
  /** Whether it is the one that computes. */
  chosen(): boolean;
  compute(task: Omit<ShardTask, 'provider'>, hooks: RunHooks, native: () => Promise<ComputedOn>): Promise<ComputedOn>;
  warm(task: Omit<Parameters<Supervisor['warm']>[0], 'provider'>): Promise<void>;
  /** Null while there was no work for it. */
  supervisor(): Supervisor | null;
  /** A window beside it, which earns nothing: to be opened, and disposed of. Null where the native worker is the one that computes. */
  spare(): { gpu: GpuId | null; provider: Provider; open(): Supervisor } | null;
  /** Why it doesn't start, where it was tried last and didn't. */
  trouble(): string | null;
  isolation(): IsolationReport;
  probe(): Promise<IsolationReport>;
  /** The rules' decisions: which GPU the browser takes isn't told, so the strictest of them holds. */
  govern(decisions: readonly Decision[]): Promise<void>;
  /** The settings changed: a window that isn't wanted any more is closed. */
  choose(): Promise<void>;
  close(): Promise<void>;
}

interface WindowWorkerOptions {
  ports: Pick<AppPorts, 'gpuWindow' | 'clock' | 'log'>;
  platform: NodeJS.Platform;
  settings: { current: Settings };
  /** Under what the native worker runs here. */
  native: IsolationLevel;
  supervise(name: string, start: StartWorker): Supervisor;
  /** The machine's only GPU; null where there are more or none is known: a page is not told which one its browser gives it. */
  onlyGpu(): GpuId | null;
  onChange(field: 'isolation' | 'backends'): void;
}

/** What the native worker may do better: a window that doesn't start, and a model that its runtime doesn't take. */
const NATIVE_TRIES = new Set<ErrorCode>(['WORKER_START_FAILED', 'WORKER_BACKING_OFF', 'BACKEND_REFUSED']);

export function openWindowWorker({ ports, platform, settings, native, supervise, onlyGpu, onChange }: WindowWorkerOptions): WindowWorker {
  let host: GpuWindowHost | null | undefined;
  let supervisor: Supervisor | null = null;
  /** Whether its page found a GPU; null while none was started. */
  let works: boolean | null = null;
  let trouble: string | null = null;
  let probed: IsolationReport | null = null;
  /** The rules want a device for others. */
  let aside = false;

  /** Looking for browsers takes up to a second, so it is done where one may be wanted. */
  function found(): GpuWindowHost | null {
    const { kind } = settings.current.worker;
    const wanted = kind === 'window' || (kind === 'auto' && (platform === 'win32' || !settings.current.acceptedIsolation.includes(native)));
    if (host === undefined && wanted) {
      host = ports.gpuWindow?.() ?? null;
      if (host === null && kind === 'window') ports.log('warn', 'nothing here can host the GPU window: the native worker computes');
    }
    return host ?? null;
  }

  /** Whether it would be the one that computes, were nothing set aside. */
  function preferred(): boolean {
    const there = found();
    const { acceptedIsolation: accepted, worker } = settings.current;
    const window = there === null ? null : { level: there.level, works };
    return chooseWorker({ setting: worker.kind, platform, accepted, native, window }) === 'window';
  }

  const chosen = () => !aside && preferred();

  /** @throws where nothing can host it: it is asked for only while it is chosen */
  const opened = (): Supervisor => {
    if (supervisor === null) {
      supervisor = supervise('window', (found() as GpuWindowHost).start);
      supervisor.onState(({ name }) => {
        if (name !== 'busy') return;
        works = true;
        trouble = null;
      });
    }
    return supervisor;
  };

  const report = (): IsolationReport => {
    const level = found()?.level ?? 'process';
    const asRoot = level === 'process';
    return {
      ...{ level, wall: asRoot ? 'none' : 'chromium', probe: null },
      reason: asRoot ? ref('isolation.browser-as-root') : null,
      remedy: asRoot ? ref('isolation.browser-as-root.remedy') : null,
    };
  };

  return {
    chosen,
    async compute(task, hooks, onNative) {
      try {
        const made = await opened().run({ ...task, provider: WEBGPU }, hooks);
        return { ...made, backend: 'webgpu', gpu: onlyGpu() };
      } catch (thrown) {
        const { code, params } = asHearthlendError(thrown);
        if (code === 'WORKER_START_FAILED') {
          works = false;
          trouble = String(params.detail);
          onChange('backends');
        }
        // A stranger's shard was taken on the word that it is computed behind this wall.
        const leave = settings.current.worker.kind === 'auto' && NATIVE_TRIES.has(code) && task.shard.origin !== 'network';
        if (!leave || hooks.signal?.aborted === true) throw thrown;
        ports.log('warn', 'the native worker takes over', { code, params });
        return await onNative();
      }
    },
    warm: (task) => opened().warm({ ...task, provider: WEBGPU }),
    supervisor: () => supervisor,
    spare() {
      const { start } = found() ?? {};
      return start !== undefined && preferred() ? { gpu: onlyGpu(), provider: WEBGPU, open: () => supervise('spare-window', start) } : null;
    },
    trouble: () => trouble,
    isolation: () => probed ?? report(),
    async probe() {
      const at = ports.clock();
      const base = report();
      try {
        const attempts = (await found()?.probe()) ?? [];
        const broken = attempts.filter(({ succeeded }) => succeeded).map(({ name }) => name);
        probed =
          broken.length === 0
            ? { ...base, probe: { at, attempts } }
            : {
                ...base,
                level: 'process',
                reason: ref('isolation.probe-broken', { attempts: broken.join(', ') }),
                remedy: ref('isolation.probe-broken.remedy'),
                probe: { at, attempts },
              };
      } catch (thrown) {
        const detail = String(asHearthlendError(thrown).params.detail);
        probed = {
          ...base,
          level: 'process',
          reason: ref('isolation.probe-failed', { detail }),
          remedy: ref('isolation.probe-broken.remedy'),
        };
      }
      onChange('isolation');
      return probed;
    },
    async govern(decisions) {
      aside = decisions.some(({ act }) => act === 'pause');
      if (aside) await supervisor?.stop();
      else supervisor?.setDuty(Math.min(1, ...decisions.map(({ duty }) => duty)));
    },
    async choose() {
      if (!chosen()) await supervisor?.stop();
      // Who sets it anew may have changed what kept it from working.
      if (works === false) works = null;
    },
    async close() {
      await supervisor?.dispose();
    },
  };
}
