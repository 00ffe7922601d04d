import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import type { BackendName } from '../../../contract/backends.ts';
import { NO_DEVICE } from '../device-access.ts';
import { findLibraries, type LibraryFinder, librarySearch } from './find-libraries.ts';
import {
  type DeviceFacts,
  type DevicePlan,
  DRIVER_SETTINGS,
  driversFor,
  type GpuIdentity,
  NVIDIA_CONTROL,
  NVIDIA_MODESET,
  NVIDIA_PROC,
  NVIDIA_UVM,
  planDevice,
  SYSFS_FILES,
  usesNvidiaDriver,
} from './plan-device.ts';
import { MANIFEST_FOLDERS, readManifest, type VulkanDriver } from './vulkan-drivers.ts';

export interface DeviceRequest {
  backend: BackendName;
  gpu: GpuIdentity;
  /** The Node binary, whose dynamic loader is asked for libraries. */
  nodePath: string;
  /** Folder with ONNX Runtime's CUDA provider, where it was added. */
  cudaFolder: string;
  /** What the agent itself was started with: it may name Vulkan drivers, as to every program. */
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
}

const ENTRIES_MAX = 256;
/** What NVIDIA's drivers load when they are at it, from the folder of the first of them. */
const NVIDIA_SIBLINGS =
  /^lib(nvidia-(glcore|eglcore|glsi|tls|glvkspirv|gpucomp|ptxjitcompiler|nvvm|rtcore|compiler|allocator)|cuda)\S*\.so\.[\d.]+$/;
/** What ONNX Runtime's CUDA provider and cuDNN load when they are at it. */
const CUDA_SIBLINGS = /^lib(cudnn\w*\.so\.9|nvrtc(-builtins)?\.so\.[\d.]+|nvJitLink\.so\.12)/;

/** Looks up what a worker needs so that `backend` computes on this GPU. Takes some 50 ms on Linux. @throws WORKER_START_FAILED */
export async function findDevice(request: DeviceRequest): Promise<DevicePlan> {
  if (request.platform === 'darwin') return { ok: true, access: { ...NO_DEVICE, metal: true } };
  if (request.platform !== 'linux') return { ok: true, access: NO_DEVICE };
  return planDevice(request.backend, request.gpu, await readFacts(request));
}

async function readFacts({ backend, gpu, nodePath, cudaFolder, env }: DeviceRequest): Promise<DeviceFacts> {
  const drivers = backend === 'webgpu' ? installedDrivers(env) : [];
  const finder = await librarySearch(nodePath, env);
  const chosen = driversFor(gpu, drivers);
  const loader =
    chosen.length === 0
      ? null
      : finder.path(
          'libvulkan.so.1',
          chosen.map(({ library }) => posix.dirname(library)),
        );
  const providers = backend === 'cuda' ? providersIn(cudaFolder) : null;
  const wanted =
    backend === 'cuda'
      ? ['libcuda.so.1', ...(providers ?? [])]
      : [...chosen.map(({ library }) => library), ...(loader === null ? [] : [loader])];
  const { libraries, missing } = await findLibraries(finder, wanted);
  const siblings = usesNvidiaDriver(gpu) ? siblingsOf(libraries, finder) : [];
  const nvidia = usesNvidiaDriver(gpu) && gpu.address !== null ? nvidiaNumbers(gpu.address, gpu.mig) : null;
  const render = gpu.address === null ? null : renderNode(gpu.address);
  const own =
    nvidia === null ? [] : [`/dev/nvidia${nvidia.minor}`, ...nvidia.capabilities.map((each) => `/dev/nvidia-caps/nvidia-cap${each}`)];
  const provided = new Set(providers ?? []);
  return {
    nodes: [...own, NVIDIA_CONTROL, NVIDIA_UVM, NVIDIA_MODESET].filter((node) =>
      mayOpen(node, node.includes('nvidia-cap') ? constants.R_OK : READ_WRITE),
    ),
    nvidia,
    render,
    sysfs: render === null ? [] : SYSFS_FILES.filter((name) => existsSync(`/sys/dev/char/${render.number}/device/${name}`)),
    drivers,
    loader,
    libraries: [...new Set([...libraries.filter((path) => !provided.has(path)), ...siblings])],
    missing,
    providers,
    settings: backend === 'webgpu' ? DRIVER_SETTINGS.filter(existsSync) : [],
    proc: NVIDIA_PROC.filter(existsSync),
  };
}

const READ_WRITE = constants.R_OK | constants.W_OK;

/** Those that the Vulkan loader would find: named ones count instead of those in its folders. */
function installedDrivers(env: DeviceRequest['env']): VulkanDriver[] {
  const named = env.VK_DRIVER_FILES ?? env.VK_ICD_FILENAMES;
  const manifests =
    named === undefined
      ? MANIFEST_FOLDERS.flatMap((folder) => list(folder).map((name) => posix.join(folder, name)))
      : named.split(':').filter((path) => path.startsWith('/'));
  return manifests.slice(0, ENTRIES_MAX).flatMap((path) => {
    const driver = path.endsWith('.json') ? readManifest(path, read(path) ?? '') : null;
    return driver === null ? [] : [driver];
  });
}

/** Vendor's libraries that aren't linked but opened by name, from the folders of those that are. */
function siblingsOf(libraries: readonly string[], finder: LibraryFinder): string[] {
  const folders = new Set(libraries.filter((path) => /nvidia|cuda|cudnn/i.test(posix.basename(path))).map((path) => posix.dirname(path)));
  return [...folders, ...finder.extraFolders].flatMap((folder) =>
    list(folder)
      .filter((name) => NVIDIA_SIBLINGS.test(name) || CUDA_SIBLINGS.test(name))
      .map((name) => posix.join(folder, name)),
  );
}

function providersIn(folder: string): string[] | null {
  const found = list(folder).filter((name) => /^libonnxruntime_providers_(shared|cuda)\.so$/.test(name));
  return found.length === 2 ? found.map((name) => posix.join(folder, name)) : null;
}

/** From what NVIDIA's driver says of a card in /proc; null where the driver doesn't run. */
function nvidiaNumbers(address: string, mig: GpuIdentity['mig']): DeviceFacts['nvidia'] {
  const minor = numberIn(read(`/proc/driver/nvidia/gpus/${address}/information`), /^Device Minor:\s*(\d+)/m);
  if (minor === null) return null;
  if (mig?.role !== 'slice') return { minor, capabilities: [] };
  const instance = `/proc/driver/nvidia/capabilities/gpu${minor}/mig/gi${mig.gpuInstance}`;
  const files = [`${instance}/access`, `${instance}/ci${mig.computeInstance}/access`];
  const capabilities = files.flatMap((file) => numberIn(read(file), /^DeviceFileMinor:\s*(\d+)/m) ?? []);
  return { minor, capabilities };
}

function renderNode(address: string): DeviceFacts['render'] {
  const folder = `/sys/bus/pci/devices/${address}/drm`;
  const name = list(folder).find((each) => /^renderD\d+$/.test(each));
  const number = name === undefined ? undefined : read(`${folder}/${name}/dev`)?.trim();
  if (name === undefined || number === undefined || !/^\d+:\d+$/.test(number) || !existsSync(`/dev/dri/${name}`)) return null;
  return { name, number, permitted: mayOpen(`/dev/dri/${name}`, READ_WRITE) };
}

function numberIn(text: string | null, pattern: RegExp): number | null {
  const found = pattern.exec(text ?? '')?.[1];
  return found === undefined ? null : Number(found);
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    // Not there, or not ours to read: nothing is known of it.
    return [];
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').slice(0, 1 << 16);
  } catch {
    return null;
  }
}

function mayOpen(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
