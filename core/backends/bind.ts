import type { BackendName } from '../contract/backends.ts';
import type { Gpu } from '../contract/hardware.ts';
import { ref } from '../contract/messages.ts';
import type { Explanation } from './explain.ts';

/**
 * How a worker is kept to one of several GPUs. Behind bubblewrap it sees that one alone, which is then its first. Elsewhere all are seen:
 * DirectML is told the number of one (DXGI's order, which is taken to be the inventory's), but ONNX Runtime's WebGPU takes no wish from Node and
 * uses the fastest, so that it serves one GPU only where there is no doubt which.
 * @param gpus all of the machine's, in the inventory's order
 * @param walled whether the worker sees only the GPU that it is given
 */
export function bindTo(
  gpu: Gpu,
  gpus: readonly Gpu[],
  backend: BackendName,
  { platform, walled }: { platform: NodeJS.Platform; walled: boolean },
): { ok: true; deviceId: number } | ({ ok: false } & Explanation) {
  if (platform === 'linux' && walled) return { ok: true, deviceId: 0 };
  if (backend === 'cuda') return { ok: false, reason: ref('backend.cuda-needs-sandbox'), remedy: null };
  if (backend === 'dml')
    return {
      ok: true,
      deviceId: Math.max(
        0,
        gpus.findIndex(({ id }) => id === gpu.id),
      ),
    };
  // Outside the sandbox Linux still tells the Vulkan loader which maker's driver to use.
  const rivals = platform === 'linux' ? gpus.filter(({ vendor }) => vendor === gpu.vendor) : gpus;
  if (rivals.length > 1) return { ok: false, reason: ref('backend.no-choice', { backend: 'WebGPU' }), remedy: null };
  return { ok: true, deviceId: 0 };
}
