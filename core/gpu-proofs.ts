import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { AppPorts } from './app-ports.ts';
import { bindTo } from './backends/bind.ts';
import { candidatesFor, type ProvenGpu } from './backends/choose.ts';
import { type ProofTarget, proveBackend, unavailable, untestedCpu } from './backends/prove.ts';
import { type BackendRecord, keyOf } from './backends/record.ts';
import { type Backend, type BackendName, CPU, type Provider } from './contract/backends.ts';
import type { Gpu } from './contract/hardware.ts';
import { nativeWorkers } from './supervisor/native-process.ts';
import type { DeviceAccess } from './supervisor/sandbox/device-access.ts';
import { findDevice } from './supervisor/sandbox/gpu/find-device.ts';
import { planLaunch, type SandboxNeeds, type Wall } from './supervisor/sandbox/plan.ts';
import { tryKernel } from './supervisor/try-kernel.ts';

/** A backend on one GPU that may be used: what its worker sees of the machine, and what its proof depends on. */
export interface Binding {
  provider: Provider;
  access: DeviceAccess;
  key: string;
}

/** What was found out about each GPU, with how to start a worker on it. */
export interface Proof extends ProvenGpu {
  bindings: ReadonlyMap<BackendName, Binding>;
}

export interface ProofParts {
  ports: Pick<AppPorts, 'dataDir' | 'clock' | 'log'>;
  needs: SandboxNeeds;
  wall: Wall;
  record: BackendRecord;
  env: Readonly<Record<string, string | undefined>>;
}

/** Where `hearthlend backend add cuda` puts ONNX Runtime's provider, for the version that is installed. */
export function cudaFolder(dataDir: string, onnxruntime: string): string {
  return join(dataDir, 'backends', `onnxruntime-${onnxruntime}-cuda12`);
}

/** The version of the installed onnxruntime-node. */
export function onnxruntimeVersion(needs: Pick<SandboxNeeds, 'runtimeDirs'>): string {
  const { version } = JSON.parse(readFileSync(join(needs.runtimeDirs.onnxruntimeNode, 'package.json'), 'utf8')) as { version: string };
  return version;
}

/** Whether there is a device that a GPU's driver makes, where such devices are files. */
export function couldHaveGpu(platform: NodeJS.Platform): boolean {
  if (platform !== 'linux' || existsSync('/dev/nvidiactl')) return true;
  return existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('renderD'));
}

/**
 * Tries every backend of this platform on every GPU, one after another, but for those that were tried before.
 * @param again tries anew what failed before
 */
export async function proveGpus(parts: ProofParts, gpus: readonly Gpu[], again: boolean, signal: AbortSignal): Promise<Proof[]> {
  const proofs: Proof[] = [];
  for (const gpu of gpus) {
    const bindings = new Map<BackendName, Binding>();
    const backends: Backend[] = [];
    for (const name of candidatesFor(gpu, parts.needs.platform, parts.needs.arch)) {
      const found = await bindingOf(parts, gpu, gpus, name);
      if (!found.ok) {
        backends.push(found.backend);
        continue;
      }
      bindings.set(name, found.binding);
      backends.push(await proveOne(parts, found.binding, gpu.vendor, again, signal));
    }
    proofs.push({ gpu, backends, bindings });
  }
  return proofs;
}

/** The CPU's own entry: its kernel takes half a second, so it is run where somebody asks. */
export async function proveCpu(parts: ProofParts, signal: AbortSignal): Promise<Backend> {
  const target = { provider: CPU, vendor: null, platform: parts.needs.platform, software: false, now: parts.ports.clock() };
  return signal.aborted ? untestedCpu() : prove(parts, target, null, signal);
}

/** WebGPU on a Vulkan driver that computes on the CPU: the real path without a GPU, and nothing to earn with. Null where there is no such driver. */
export async function proveSoftware(parts: ProofParts, signal: AbortSignal): Promise<Backend | null> {
  const { needs, ports, env } = parts;
  const gpu = { vendor: null, driver: null, mig: null, address: null, software: true };
  const { nodePath, platform } = needs;
  if (platform !== 'linux') return null;
  const device = await findDevice({ backend: 'webgpu', gpu, nodePath, cudaFolder: ports.dataDir, env, platform });
  if (!device.ok) return null;
  const target = { provider: { name: 'webgpu' as const, deviceId: 0 }, vendor: null, platform, software: true, now: ports.clock() };
  return prove(parts, target, device.access, signal);
}

async function bindingOf(
  { ports, needs, wall, env }: ProofParts,
  gpu: Gpu,
  gpus: readonly Gpu[],
  name: BackendName,
): Promise<{ ok: true; binding: Binding } | { ok: false; backend: Backend }> {
  const { platform } = needs;
  const bound = bindTo(gpu, gpus, name, { platform, walled: wall.program !== null });
  if (!bound.ok) return { ok: false, backend: unavailable(name, bound) };
  const onnxruntime = onnxruntimeVersion(needs);
  const { vendor, driver, mig } = gpu;
  const device = await findDevice({
    backend: name,
    gpu: { vendor, driver, mig, address: gpu.pci?.address ?? null },
    nodePath: needs.nodePath,
    cudaFolder: cudaFolder(ports.dataDir, onnxruntime),
    env,
    platform,
  });
  if (!device.ok) return { ok: false, backend: unavailable(name, device) };
  const { access } = device;
  const version = [gpu.driverVersion ?? '', stampOf([...access.libraries, ...access.providers])].join(' ');
  const key = keyOf({ gpu: gpu.id, name: gpu.name, driver: version, backend: name, onnxruntime });
  return { ok: true, binding: { provider: { name, deviceId: bound.deviceId }, access, key } };
}

async function proveOne(parts: ProofParts, binding: Binding, vendor: string | null, again: boolean, signal: AbortSignal): Promise<Backend> {
  const known = parts.record.tried(binding.key);
  if (known !== null && (known.works || !again)) return known;
  const { platform } = parts.needs;
  const target = { provider: binding.provider, vendor, platform, software: false, now: parts.ports.clock() };
  const backend = await prove(parts, target, binding.access, signal);
  // What was broken off says nothing.
  if (!signal.aborted) parts.record.keep(binding.key, backend);
  return backend;
}

async function prove(
  { ports, needs, wall }: ProofParts,
  target: ProofTarget,
  device: DeviceAccess | null,
  signal: AbortSignal,
): Promise<Backend> {
  const start = nativeWorkers(({ modelsDir }) => planLaunch(wall, { ...needs, modelsDir, device }));
  const workDir = join(ports.dataDir, 'workers', 'proofs');
  const backend = await proveBackend(target, (request) => tryKernel({ ...request, start, workDir, signal }));
  const { name, works, reason, difference, firstMs } = backend;
  ports.log('info', 'backend-tried', { backend: name, works, reason: reason?.key, difference, firstMs });
  return backend;
}

/** Changes when a driver's files do: Mesa's version is in no file of the system's. */
function stampOf(paths: readonly string[]): string {
  const stamps = paths.map((path) => {
    const { size, mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { size: 0, mtimeMs: 0 };
    return size + Math.floor(mtimeMs / 1000);
  });
  return stamps.reduce((sum, each) => sum + each, 0).toString(36);
}
