import type { BackendName } from '../contract/backends.ts';
import type { HearthlendError } from '../contract/errors.ts';
import { type MessageKey, type MessageRef, ref } from '../contract/messages.ts';

/** Why a backend does not work, and what would change that. */
export interface Explanation {
  reason: MessageRef;
  remedy: MessageRef | null;
}

/** What a failed try left: its error, what was said on stderr, and whose GPU it was on. */
export interface Failure {
  backend: BackendName;
  vendor: string | null;
  platform: NodeJS.Platform;
  error: Pick<HearthlendError, 'code' | 'params'>;
  said: string;
}

const NAMES: Record<BackendName, string> = { cpu: 'The CPU', webgpu: 'WebGPU', dml: 'DirectML', coreml: 'CoreML', cuda: 'CUDA' };
const MAX_DETAIL_CHARS = 300;

/** What the libraries say, first match first. The texts are theirs: ONNX Runtime's, CUDA's, Dawn's, DirectX's. */
const SAID: readonly [pattern: RegExp, reason: MessageKey, remedy: MessageKey | 'driver' | null][] = [
  [/CUDA failure 80[13]|unsupported display driver|driver\/library version mismatch/i, 'backend.reboot', 'backend.reboot.remedy'],
  [
    /CUDA failure (35|804)|driver version is insufficient|forward compatibility was attempted/i,
    'backend.driver-old',
    'backend.nvidia-driver.remedy',
  ],
  [/CUDA failure 100|no CUDA-capable device/i, 'backend.no-nvidia-driver', 'backend.nvidia-driver.remedy'],
  [/NoKernelImageForDevice|no kernel image is available|CUDA failure 209/i, 'backend.gpu-old', null],
  [/libonnxruntime_providers_\w+\.so: cannot open shared object/, 'backend.cuda-not-added', 'backend.cuda-not-added.remedy'],
  [/with error: (lib[\w.+-]+): cannot open shared object/, 'backend.libraries-missing', 'backend.cuda-libraries.remedy'],
  [
    /CUDNN failure|CUDNN_STATUS_|Failed to initialize CUDNN|CUBLAS_STATUS_NOT_INITIALIZED/,
    'backend.cuda-libraries',
    'backend.cuda-libraries.remedy',
  ],
  [
    /out of memory|OUT_OF_(DEVICE|HOST)_MEMORY|Failed to allocate memory for requested buffer|8007000E|CUDA failure 2\b|STATUS_ALLOC_FAILED/i,
    'backend.gpu-full',
    'backend.gpu-full.remedy',
  ],
  [
    /DEVICE_LOST|device (was )?lost|887A000[5-7]|887A0020|DXGI_ERROR_(DEVICE|DRIVER)|unspecified launch failure|CUDA failure (700|719|999)\b|GPU will not respond/i,
    'backend.gpu-lost',
    'backend.gpu-lost.remedy',
  ],
  [/libvulkan\.so\.1: cannot open/, 'backend.no-vulkan-loader', 'backend.no-vulkan-loader.remedy'],
  [/887A0004|device interface or feature level is not supported/i, 'backend.driver-old', 'backend.directx.remedy'],
  [/80070057/, 'backend.driver-old', 'driver'],
  [/INCOMPATIBLE_DRIVER|No supported adapters|Failed to get a WebGPU adapter/, 'backend.no-adapter', 'driver'],
  [/Failed to get a WebGPU device/, 'backend.driver-old', 'driver'],
  [/backend not found/, 'backend.not-here', null],
];

/** What a failed try says of the machine, in words. */
export function explainFailure({ backend, vendor, platform, error, said }: Failure): Explanation {
  const name = NAMES[backend];
  const detail = String(error.params.detail ?? error.params.how ?? error.code);
  const heard = `${detail}\n${said}`;
  for (const [pattern, reason, remedy] of SAID) {
    const found = pattern.exec(heard);
    if (found === null) continue;
    const help = remedy === 'driver' ? driverRemedy(vendor, platform) : remedy;
    return { reason: ref(reason, { backend: name, names: found[1] ?? '' }), remedy: help === null ? null : ref(help) };
  }
  const help = backend === 'cpu' ? null : ref(driverRemedy(vendor, platform));
  if (error.code === 'WORKER_TIMEOUT') {
    return { reason: ref('backend.late', { backend: name, seconds: Number(error.params.limitMs) / 1000 }), remedy: help };
  }
  if (error.code === 'WORKER_CRASHED') return { reason: ref('backend.crashed', { backend: name, how: detail }), remedy: help };
  return { reason: ref('backend.refused', { backend: name, detail: shortened(detail) }), remedy: help };
}

/** An answer that lies too far from the CPU's. */
export function explainWrong(
  { backend, vendor, platform }: Pick<Failure, 'backend' | 'vendor' | 'platform'>,
  difference: number,
  allowed: number,
): Explanation {
  const params = { backend: NAMES[backend], difference: difference.toExponential(1), allowed: String(allowed) };
  return { reason: ref('backend.wrong', params), remedy: ref(driverRemedy(vendor, platform)) };
}

function driverRemedy(vendor: string | null, platform: NodeJS.Platform): MessageKey {
  if (vendor === 'NVIDIA') return 'backend.nvidia-driver.remedy';
  return platform === 'linux' && (vendor === 'AMD' || vendor === 'Intel') ? 'backend.mesa.remedy' : 'backend.vendor-driver.remedy';
}

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= MAX_DETAIL_CHARS ? line : `${line.slice(0, MAX_DETAIL_CHARS - 1)}…`;
}
