import type { BackendName } from '../../../contract/backends.ts';
import type { Gpu } from '../../../contract/hardware.ts';
import { type MessageRef, ref } from '../../../contract/messages.ts';
import { type DeviceAccess, NO_DEVICE } from '../device-access.ts';
import type { DriverKind, VulkanDriver } from './vulkan-drivers.ts';

/** The card that a worker is bound to, as the inventory names it. `software` is a Vulkan driver that computes on the CPU. */
export type GpuIdentity = Pick<Gpu, 'vendor' | 'driver' | 'mig'> & { address: string | null; software?: boolean };

/** What lies on this machine for one GPU and backend, found or not. */
export interface DeviceFacts {
  /** Of /dev, all that a worker of this user may open and that is asked for below. */
  nodes: string[];
  /** Number of NVIDIA's node for this card; of its slice's capability files. */
  nvidia: { minor: number; capabilities: number[] } | null;
  /** What DRM calls it: its render node, the node's number, and whether this user may open it. */
  render: { name: string; number: string; permitted: boolean } | null;
  /** Files that tell libdrm which card a node belongs to: those that exist of `SYSFS_FILES`, below `/sys/dev/char/<number>/device`. */
  sysfs: string[];
  drivers: VulkanDriver[];
  /** libvulkan.so.1, which onnxruntime-node loads by that name. */
  loader: string | null;
  /** Libraries of drivers, loader or CUDA with all that they need, by paths; and what is missing of them, by names. */
  libraries: string[];
  missing: string[];
  /** ONNX Runtime's CUDA provider; null where it was not added. */
  providers: string[] | null;
  /** Settings of drivers that exist. */
  settings: string[];
  /** Of NVIDIA's folder in /proc, and the list of device numbers: what exists. */
  proc: string[];
}

/** What a worker needs for a device, or why it can't have it. */
export type DevicePlan = { ok: true; access: DeviceAccess } | { ok: false; reason: MessageRef; remedy: MessageRef | null };

/** libdrm (xf86drm.c) looks these up to tell a card by its node. */
export const SYSFS_FILES = ['uevent', 'vendor', 'device', 'subsystem_vendor', 'subsystem_device', 'revision'];
export const DRIVER_SETTINGS = ['/usr/share/drirc.d', '/usr/share/libdrm/amdgpu.ids'];
/** Its control node, and that of its unified memory, without which CUDA does not start. The rest of its nodes are of one card each. */
export const NVIDIA_CONTROL = '/dev/nvidiactl';
export const NVIDIA_UVM = '/dev/nvidia-uvm';
/** Its Vulkan driver opens this one at its start, though nothing is shown. */
export const NVIDIA_MODESET = '/dev/nvidia-modeset';
/** What NVIDIA's libraries read before they open anything: whether the nodes are theirs to make, and by which numbers. */
export const NVIDIA_PROC = ['/proc/driver/nvidia', '/proc/devices'];
/** NVIDIA's compiled kernels are cached in the worker's scratch folder, which is small. */
const CUDA_CACHE_BYTES = 32 * 2 ** 20;

/** Which of the installed Vulkan drivers serve a card, best first by kind. */
export function driversFor(gpu: GpuIdentity, installed: readonly VulkanDriver[]): VulkanDriver[] {
  const of = (kind: DriverKind) => installed.filter((driver) => driver.kind === kind);
  if (gpu.software === true) return of('software');
  if (usesNvidiaDriver(gpu)) return of('nvidia');
  if (gpu.vendor === 'NVIDIA') return of('nouveau');
  if (gpu.vendor === 'AMD') return of('radv').length > 0 ? of('radv') : of('amdvlk');
  if (gpu.vendor === 'Intel') return of('intel');
  return [];
}

/** Through its own kernel driver, not through nouveau. */
export function usesNvidiaDriver(gpu: GpuIdentity): boolean {
  return gpu.vendor === 'NVIDIA' && gpu.driver !== 'nouveau';
}

/** Linux: what a worker sees of the machine so that `backend` computes on this card, and on no other. */
export function planDevice(backend: BackendName, gpu: GpuIdentity, facts: DeviceFacts): DevicePlan {
  if (backend === 'cuda') return planCuda(gpu, facts);
  if (backend !== 'webgpu') return lacking(ref('backend.not-here', { backend }), null);
  if (gpu.mig !== null) return lacking(ref(gpu.mig.role === 'parent' ? 'backend.divided' : 'backend.slice-without-vulkan'), null);
  const drivers = driversFor(gpu, facts.drivers);
  const vendor = gpu.vendor ?? 'GPU';
  if (drivers.length === 0) return lacking(ref('backend.no-vulkan-driver', { vendor }), ref(vulkanRemedy(gpu)));
  if (facts.loader === null) return lacking(ref('backend.no-vulkan-loader'), ref('backend.no-vulkan-loader.remedy'));
  if (facts.missing.length > 0) return lacking(ref('backend.libraries-missing', { names: facts.missing.join(', ') }), null);
  const manifests = drivers.map((driver) => driver.manifest);
  const vulkan = {
    files: [...manifests, ...facts.settings],
    libraries: facts.libraries,
    // Older loaders know the second name alone.
    environment: { VK_DRIVER_FILES: manifests.join(':'), VK_ICD_FILENAMES: manifests.join(':') },
  };
  if (gpu.software === true) return granted(vulkan);
  if (usesNvidiaDriver(gpu)) return planNvidia(facts, [NVIDIA_CONTROL], [NVIDIA_UVM, NVIDIA_MODESET], vulkan);
  return planMesa(facts, vulkan);
}

function planCuda(gpu: GpuIdentity, facts: DeviceFacts): DevicePlan {
  if (!usesNvidiaDriver(gpu)) return lacking(ref('backend.cuda-not-nvidia'), null);
  if (gpu.mig?.role === 'parent') return lacking(ref('backend.divided'), null);
  if (facts.providers === null) return lacking(ref('backend.cuda-not-added'), ref('backend.cuda-not-added.remedy'));
  if (facts.missing.some((name) => name.startsWith('libcuda.so'))) {
    return lacking(ref('backend.no-nvidia-driver'), ref('backend.nvidia-driver.remedy'));
  }
  if (facts.missing.length > 0) {
    return lacking(ref('backend.libraries-missing', { names: facts.missing.join(', ') }), ref('backend.cuda-libraries.remedy'));
  }
  const environment = { CUDA_CACHE_MAXSIZE: String(CUDA_CACHE_BYTES) };
  return planNvidia(facts, [NVIDIA_CONTROL, NVIDIA_UVM], [], { libraries: facts.libraries, providers: facts.providers, environment });
}

/**
 * The one card's node, and so the one card: NVIDIA's libraries pass over those whose node they can't open, which is how containers are given
 * single GPUs. Inside it is device 0.
 */
function planNvidia(facts: DeviceFacts, needs: readonly string[], may: readonly string[], rest: Partial<DeviceAccess>): DevicePlan {
  const { nvidia } = facts;
  if (nvidia === null) return lacking(ref('backend.no-nvidia-driver'), ref('backend.nvidia-driver.remedy'));
  const own = [`/dev/nvidia${nvidia.minor}`, ...nvidia.capabilities.map((minor) => `/dev/nvidia-caps/nvidia-cap${minor}`)];
  const missing = [...own, ...needs].filter((node) => !facts.nodes.includes(node));
  if (missing.length > 0) return lacking(ref('backend.no-node', { nodes: missing.join(', ') }), ref('backend.no-nvidia-node.remedy'));
  const nodes = [...own, ...needs, ...may.filter((node) => facts.nodes.includes(node))];
  return granted({ ...rest, nodes, proc: facts.proc, ioctls: 'any' });
}

/** The one card's render node, with which nothing can be shown, and by which Mesa's drivers find no other card. */
function planMesa(facts: DeviceFacts, rest: Partial<DeviceAccess> & { files: string[] }): DevicePlan {
  const { render } = facts;
  if (render === null) return lacking(ref('backend.no-node', { nodes: '/dev/dri/renderD*' }), ref('backend.no-render-node.remedy'));
  const node = `/dev/dri/${render.name}`;
  if (!render.permitted) return lacking(ref('backend.node-forbidden', { node }), ref('backend.node-forbidden.remedy'));
  const device = `/sys/dev/char/${render.number}/device`;
  return granted({
    ...rest,
    nodes: [node],
    files: [...rest.files, ...facts.sysfs.map((name) => `${device}/${name}`), `${device}/drm/${render.name}/uevent`],
    links: [{ path: `${device}/subsystem`, target: '../../../../bus/pci' }],
    ioctls: 'graphics',
  });
}

function vulkanRemedy(gpu: GpuIdentity) {
  if (usesNvidiaDriver(gpu)) return 'backend.nvidia-vulkan.remedy' as const;
  return gpu.vendor === 'Intel' || gpu.vendor === 'AMD' || gpu.vendor === 'NVIDIA'
    ? ('backend.mesa.remedy' as const)
    : ('backend.vendor-driver.remedy' as const);
}

function granted(access: Partial<DeviceAccess>): DevicePlan {
  return { ok: true, access: { ...NO_DEVICE, ...access } };
}

function lacking(reason: MessageRef, remedy: MessageRef | null): DevicePlan {
  return { ok: false, reason, remedy };
}
