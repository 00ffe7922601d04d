import { z } from 'zod';
import { Gpu, GpuId, HardwareReport } from './hardware.ts';
import { MessageRef } from './messages.ts';

/** ONNX Runtime's execution providers that Hearthlend uses, by the names that onnxruntime-node gives them. */
export const BackendName = z.enum(['cpu', 'webgpu', 'dml', 'coreml', 'cuda']);
export type BackendName = z.infer<typeof BackendName>;

/** Where a session computes. `deviceId` counts the devices that the worker sees; WebGPU and CoreML take none and use the one they see. */
export const Provider = z.strictObject({ name: BackendName, deviceId: z.int().min(0).max(127) });
export type Provider = z.infer<typeof Provider>;

export const CPU: Provider = { name: 'cpu', deviceId: 0 };

/** One provider on one device, as running a kernel on it showed. */
export const Backend = z.strictObject({
  name: BackendName,
  works: z.boolean(),
  /** It computed, but on the CPU: nothing to earn with. */
  software: z.boolean(),
  /** Why it doesn't work, and what would change that; null where it works, or nothing is known to help. */
  reason: MessageRef.nullable(),
  remedy: MessageRef.nullable(),
  /** Relative L2 distance of its answer to the CPU's; null where there was no answer. */
  difference: z.number().min(0).nullable(),
  /** From the start of its process to the first answer, which has drivers loaded and kernels compiled, and a later answer's time; in ms. */
  firstMs: z.number().min(0).nullable(),
  runMs: z.number().min(0).nullable(),
  /** When it was tried, ms since 1970; it counts until the driver or ONNX Runtime changes. Null where it did not come to that. */
  testedAt: z.int().nullable(),
});
export type Backend = z.infer<typeof Backend>;

/** What is known of each device's backends, best first, and which of them work. */
export const BackendReport = z.strictObject({
  cpu: Backend,
  gpus: z.array(z.strictObject({ gpu: GpuId, backends: z.array(Backend).max(8) })).max(128),
  /** The workers that compute now; `gpu` is null for the CPU's. `memoryBytes`: what models may take of it. */
  workers: z.array(z.strictObject({ gpu: GpuId.nullable(), backend: BackendName, memoryBytes: z.int().min(0) })).max(128),
  /** Why no GPU computes, where none does; null where one does. */
  reason: MessageRef.nullable(),
});
export type BackendReport = z.infer<typeof BackendReport>;

/** The inventory with what was proven on each GPU; the CPU's own entry is beside its name. */
export const ProvenHardware = HardwareReport.extend({
  cpu: HardwareReport.shape.cpu.extend({ backends: z.array(Backend).max(1) }),
  gpus: z.array(Gpu.extend({ backends: z.array(Backend).max(8) })).max(128),
});
export type ProvenHardware = z.infer<typeof ProvenHardware>;

export function withBackends(hardware: HardwareReport, report: BackendReport | null): ProvenHardware {
  const of = (id: GpuId) => report?.gpus.find(({ gpu }) => gpu === id)?.backends ?? [];
  return {
    ...hardware,
    cpu: { ...hardware.cpu, backends: report === null ? [] : [report.cpu] },
    gpus: hardware.gpus.map((gpu) => ({ ...gpu, backends: of(gpu.id) })),
  };
}

/** How far answers of two backends may lie apart, as a relative L2 distance: beyond it one of them is wrong. */
export const ACROSS_BACKENDS = 2e-3;
