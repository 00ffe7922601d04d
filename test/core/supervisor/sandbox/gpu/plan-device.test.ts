import { describe, expect, test } from 'vitest';
import type { DeviceAccess } from '../../../../../core/supervisor/sandbox/device-access.ts';
import { type DeviceFacts, driversFor, type GpuIdentity, planDevice } from '../../../../../core/supervisor/sandbox/gpu/plan-device.ts';
import { readManifest } from '../../../../../core/supervisor/sandbox/gpu/vulkan-drivers.ts';

const card = (vendor: string, driver: string | null, changes: Partial<GpuIdentity> = {}): GpuIdentity => ({
  vendor,
  driver,
  mig: null,
  address: '0000:01:00.0',
  ...changes,
});
const nvidia = card('NVIDIA', 'nvidia');
const amd = card('AMD', 'amdgpu');
const intel = card('Intel', 'i915');

// Manifests as the packages of NVIDIA 550, Mesa 24 (Ubuntu), AMDVLK and Chromium lay them down.
const manifests: Record<string, string> = {
  '/usr/share/vulkan/icd.d/nvidia_icd.json':
    '{"file_format_version":"1.0.1","ICD":{"library_path":"libGLX_nvidia.so.0","api_version":"1.3.277"}}',
  '/usr/share/vulkan/icd.d/radeon_icd.x86_64.json':
    '{"ICD":{"api_version":"1.3.274","library_arch":"64","library_path":"/usr/lib/x86_64-linux-gnu/libvulkan_radeon.so"},"file_format_version":"1.0.1"}',
  '/usr/share/vulkan/icd.d/radeon_icd.i686.json':
    '{"ICD":{"api_version":"1.3.274","library_arch":"32","library_path":"/usr/lib/i386-linux-gnu/libvulkan_radeon.so"},"file_format_version":"1.0.1"}',
  '/usr/share/vulkan/icd.d/intel_icd.x86_64.json':
    '{"ICD":{"api_version":"1.3.274","library_path":"/usr/lib/x86_64-linux-gnu/libvulkan_intel.so"},"file_format_version":"1.0.0"}',
  '/usr/share/vulkan/icd.d/intel_hasvk_icd.x86_64.json':
    '{"ICD":{"api_version":"1.3.274","library_path":"/usr/lib/x86_64-linux-gnu/libvulkan_intel_hasvk.so"},"file_format_version":"1.0.0"}',
  '/usr/share/vulkan/icd.d/nouveau_icd.x86_64.json':
    '{"ICD":{"api_version":"1.3.274","library_path":"/usr/lib/x86_64-linux-gnu/libvulkan_nouveau.so"},"file_format_version":"1.0.0"}',
  '/usr/share/vulkan/icd.d/lvp_icd.x86_64.json':
    '{"ICD":{"api_version":"1.3.274","library_path":"/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so"},"file_format_version":"1.0.0"}',
  '/etc/vulkan/icd.d/amd_icd64.json':
    '{"file_format_version":"1.0.0","ICD":{"library_path":"/usr/lib/x86_64-linux-gnu/amdvlk64.so","api_version":"1.3.279"}}',
  '/usr/lib/chromium/vk_swiftshader_icd.json':
    '{"file_format_version": "1.0.0", "ICD": {"library_path": "./libvk_swiftshader.so", "api_version": "1.0.5"}}',
};
const drivers = Object.entries(manifests).flatMap(([path, text]) => readManifest(path, text) ?? []);

const facts: DeviceFacts = {
  nodes: ['/dev/nvidia1', '/dev/nvidiactl', '/dev/nvidia-uvm', '/dev/nvidia-modeset'],
  nvidia: { minor: 1, capabilities: [] },
  render: { name: 'renderD129', number: '226:129', permitted: true },
  sysfs: ['uevent', 'vendor', 'device', 'revision'],
  drivers,
  loader: '/usr/lib/x86_64-linux-gnu/libvulkan.so.1',
  libraries: ['/usr/lib/x86_64-linux-gnu/libvulkan.so.1', '/usr/lib/x86_64-linux-gnu/driver.so'],
  missing: [],
  providers: ['/data/libonnxruntime_providers_cuda.so', '/data/libonnxruntime_providers_shared.so'],
  settings: ['/usr/share/drirc.d'],
  proc: ['/proc/driver/nvidia', '/proc/devices'],
};
const accessOf = (...[backend, gpu, changes]: [Parameters<typeof planDevice>[0], GpuIdentity, Partial<DeviceFacts>?]): DeviceAccess => {
  const plan = planDevice(backend, gpu, { ...facts, ...changes });
  if (!plan.ok) throw new Error(plan.reason.key);
  return plan.access;
};
const lackOf = (...[backend, gpu, changes]: [Parameters<typeof planDevice>[0], GpuIdentity, Partial<DeviceFacts>?]) => {
  const plan = planDevice(backend, gpu, { ...facts, ...changes });
  return plan.ok ? 'nothing' : [plan.reason.key, plan.remedy?.key ?? null];
};
const kindsFor = (gpu: GpuIdentity) => driversFor(gpu, drivers).map((driver) => driver.manifest.replace(/^.*\//, ''));

test('a manifest gives its driver, with a library beside it found there; one for 32-bit programs or of no sense gives none', () => {
  expect(drivers.map((driver) => driver.kind)).toEqual(['nvidia', 'radv', 'intel', 'intel', 'nouveau', 'software', 'amdvlk', 'software']);
  expect(drivers.at(-1)?.library).toBe('/usr/lib/chromium/libvk_swiftshader.so');
  expect(drivers[0]?.library).toBe('libGLX_nvidia.so.0');
  for (const text of ['', '{}', '[]', '{"ICD":{}}', '{"ICD":{"library_path":7}}']) expect(readManifest('/x.json', text)).toBeNull();
});

test("each card gets its maker's drivers alone, and none that compute on the CPU", () => {
  expect(kindsFor(nvidia)).toEqual(['nvidia_icd.json']);
  expect(kindsFor(card('NVIDIA', 'nouveau'))).toEqual(['nouveau_icd.x86_64.json']);
  expect(kindsFor(amd)).toEqual(['radeon_icd.x86_64.json']);
  expect(kindsFor(intel)).toEqual(['intel_icd.x86_64.json', 'intel_hasvk_icd.x86_64.json']);
  expect(kindsFor(card('Qualcomm', 'msm'))).toEqual([]);
  expect(kindsFor({ ...card('x', null), software: true })).toEqual(['lvp_icd.x86_64.json', 'vk_swiftshader_icd.json']);
  expect(
    driversFor(
      amd,
      drivers.filter((driver) => driver.kind !== 'radv'),
    ).map((driver) => driver.kind),
  ).toEqual(['amdvlk']);
});

describe('a worker on an NVIDIA card', () => {
  test("sees that card's node and no other card's, and what NVIDIA's libraries read before they open it", () => {
    const access = accessOf('cuda', nvidia);
    expect(access.nodes).toEqual(['/dev/nvidia1', '/dev/nvidiactl', '/dev/nvidia-uvm']);
    expect(access.proc).toEqual(['/proc/driver/nvidia', '/proc/devices']);
    expect(access.ioctls).toBe('any');
    expect(access.files).toEqual([]);
    expect(access.environment).toEqual({ CUDA_CACHE_MAXSIZE: String(32 * 2 ** 20) });
    expect(access.providers).toEqual(facts.providers);
  });

  test('through Vulkan, sees its driver alone', () => {
    const access = accessOf('webgpu', nvidia);
    expect(access.nodes).toEqual(['/dev/nvidia1', '/dev/nvidiactl', '/dev/nvidia-uvm', '/dev/nvidia-modeset']);
    expect(access.environment).toEqual({
      VK_DRIVER_FILES: '/usr/share/vulkan/icd.d/nvidia_icd.json',
      VK_ICD_FILENAMES: '/usr/share/vulkan/icd.d/nvidia_icd.json',
    });
    expect(access.providers).toEqual([]);
  });

  test('of two identical cards, sees the one of its address', () => {
    const other = { minor: 0, capabilities: [] };
    const nodes = ['/dev/nvidia0', ...facts.nodes];
    expect(accessOf('cuda', nvidia, { nodes, nvidia: other }).nodes).toContain('/dev/nvidia0');
    expect(accessOf('cuda', nvidia, { nodes, nvidia: other }).nodes).not.toContain('/dev/nvidia1');
    expect(accessOf('cuda', nvidia, { nodes }).nodes).not.toContain('/dev/nvidia0');
  });

  test('in a slice, sees the two capabilities of that slice; the divided card itself computes nothing', () => {
    const slice = card('NVIDIA', 'nvidia', { mig: { role: 'slice', parent: '0000:01:00.0', gpuInstance: 1, computeInstance: 0 } });
    const capabilities = ['/dev/nvidia-caps/nvidia-cap12', '/dev/nvidia-caps/nvidia-cap13'];
    const changes = { nvidia: { minor: 1, capabilities: [12, 13] }, nodes: [...facts.nodes, ...capabilities] };
    expect(accessOf('cuda', slice, changes).nodes).toEqual(['/dev/nvidia1', ...capabilities, '/dev/nvidiactl', '/dev/nvidia-uvm']);
    expect(lackOf('cuda', slice, { ...changes, nodes: facts.nodes })).toEqual(['backend.no-node', 'backend.no-nvidia-node.remedy']);
    expect(lackOf('webgpu', slice, changes)).toEqual(['backend.slice-without-vulkan', null]);
    const parent = card('NVIDIA', 'nvidia', { mig: { role: 'parent', slices: ['0000:01:00.0/gi1/ci0'] } });
    expect(lackOf('cuda', parent)).toEqual(['backend.divided', null]);
  });
});

describe.each([
  ['AMD', amd, 'radeon_icd.x86_64.json'],
  ['Intel', intel, 'intel_icd.x86_64.json:/usr/share/vulkan/icd.d/intel_hasvk_icd.x86_64.json'],
])('a worker on a card of %s', (_, gpu, manifest) => {
  const access = accessOf('webgpu', gpu);

  test('sees its render node, with which nothing can be shown, and no other node', () => {
    expect(access.nodes).toEqual(['/dev/dri/renderD129']);
    expect(access.proc).toEqual([]);
    expect(access.ioctls).toBe('graphics');
    expect(access.environment.VK_DRIVER_FILES).toBe(`/usr/share/vulkan/icd.d/${manifest}`);
  });

  test('sees of the system only by what libdrm tells one card from another: none of it is its memory or its settings', () => {
    const device = '/sys/dev/char/226:129/device';
    expect(access.files.filter((path) => path.startsWith('/sys'))).toEqual([
      ...facts.sysfs.map((name) => `${device}/${name}`),
      `${device}/drm/renderD129/uevent`,
    ]);
    expect(access.links).toEqual([{ path: `${device}/subsystem`, target: '../../../../bus/pci' }]);
    expect(access.files).toContain('/usr/share/drirc.d');
  });
});

test('what is missing is named, with what would bring it', () => {
  expect(lackOf('cuda', nvidia, { providers: null })).toEqual(['backend.cuda-not-added', 'backend.cuda-not-added.remedy']);
  expect(lackOf('cuda', nvidia, { missing: ['libcublasLt.so.12', 'libcudnn.so.9'] })).toEqual([
    'backend.libraries-missing',
    'backend.cuda-libraries.remedy',
  ]);
  expect(lackOf('cuda', nvidia, { missing: ['libcuda.so.1'] })).toEqual(['backend.no-nvidia-driver', 'backend.nvidia-driver.remedy']);
  expect(lackOf('cuda', nvidia, { nvidia: null })).toEqual(['backend.no-nvidia-driver', 'backend.nvidia-driver.remedy']);
  expect(lackOf('cuda', nvidia, { nodes: ['/dev/nvidia1', '/dev/nvidiactl'] })).toEqual([
    'backend.no-node',
    'backend.no-nvidia-node.remedy',
  ]);
  expect(accessOf('webgpu', nvidia, { nodes: ['/dev/nvidia1', '/dev/nvidiactl'] }).nodes).toEqual(['/dev/nvidia1', '/dev/nvidiactl']);
  expect(lackOf('cuda', nvidia, { nodes: [] })).toEqual(['backend.no-node', 'backend.no-nvidia-node.remedy']);
  expect(lackOf('cuda', amd)).toEqual(['backend.cuda-not-nvidia', null]);
  expect(lackOf('cuda', card('NVIDIA', 'nouveau'))).toEqual(['backend.cuda-not-nvidia', null]);
  expect(lackOf('webgpu', amd, { drivers: [] })).toEqual(['backend.no-vulkan-driver', 'backend.mesa.remedy']);
  expect(lackOf('webgpu', nvidia, { drivers: [] })).toEqual(['backend.no-vulkan-driver', 'backend.nvidia-vulkan.remedy']);
  expect(lackOf('webgpu', card('Qualcomm', 'msm'))).toEqual(['backend.no-vulkan-driver', 'backend.vendor-driver.remedy']);
  expect(lackOf('webgpu', amd, { loader: null })).toEqual(['backend.no-vulkan-loader', 'backend.no-vulkan-loader.remedy']);
  expect(lackOf('webgpu', amd, { render: null })).toEqual(['backend.no-node', 'backend.no-render-node.remedy']);
  expect(lackOf('webgpu', amd, { render: { name: 'renderD128', number: '226:128', permitted: false } })).toEqual([
    'backend.node-forbidden',
    'backend.node-forbidden.remedy',
  ]);
  expect(lackOf('dml', nvidia)).toEqual(['backend.not-here', null]);
});
