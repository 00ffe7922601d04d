import type { Adapter } from '../../core/contract/gpu-window.ts';

/** The part of WebGPU that is asked for here; TypeScript's DOM doesn't have it yet. */
interface Gpu {
  requestAdapter(options: { powerPreference: 'high-performance' }): Promise<{
    info: { vendor: string; architecture: string; description: string; isFallbackAdapter?: boolean };
  } | null>;
}

/** The adapter that ONNX Runtime will compute on; null where the browser offers none. */
export async function findAdapter(): Promise<Adapter | null> {
  const { gpu } = navigator as unknown as { gpu?: Gpu };
  const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === undefined || adapter === null) return null;
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info;
  return { vendor, architecture, description, software: isFallbackAdapter === true };
}
