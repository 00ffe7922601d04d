import type * as OnnxRuntime from 'onnxruntime-web/jspi';

export type Ort = typeof OnnxRuntime;

/**
 * Loads ONNX Runtime with its WebAssembly, which came over the port: the page can fetch nothing. One thread, since more would need workers.
 * Float16Array is hidden first, as in the native worker, so that float16 tensors are Uint16Array in both.
 */
export async function loadOnnxRuntime(wasm: ArrayBuffer): Promise<Ort> {
  Reflect.deleteProperty(globalThis, 'Float16Array');
  const ort = await import('onnxruntime-web/jspi');
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = false;
  ort.env.wasm.wasmBinary = wasm;
  ort.env.webgpu.powerPreference = 'high-performance';
  return ort;
}
