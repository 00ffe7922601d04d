import type * as OnnxRuntime from 'onnxruntime-node';

export type Ort = typeof OnnxRuntime;

/**
 * Loads ONNX Runtime, never before two things:
 * Its telemetry is switched off. From 1.29 on it reports over HTTPS unless this variable is set when the library comes in. Our own environment
 * is set too, so that it holds however this process was started.
 * Float16Array is hidden. Where it sees one, onnxruntime-common takes float16 tensors in nothing else, but Node 24's Node-API can't tell the
 * native binding what a Float16Array is, and the binding refuses it. Without it both agree on Uint16Array.
 */
export async function loadOnnxRuntime(): Promise<Ort> {
  process.env.ORT_DISABLE_TELEMETRY = '1';
  Reflect.deleteProperty(globalThis, 'Float16Array');
  return await import('onnxruntime-node');
}

/** A graph's input or output as the native binding describes it: `type` is ONNX's TensorProto.DataType. */
interface RawValue {
  name: string;
  isTensor: boolean;
  type: number;
}

/** ONNX's names of the types that the JavaScript package has no name for. Source: onnx.proto, TensorProto.DataType. */
const UNNAMED_TYPES: Record<number, string> = {
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  23: 'float4e2m1',
  24: 'float8e8m0',
};

/**
 * The first input or output of a type that the JavaScript package refuses. The package says only "Unsupported data type: 16" and not of what,
 * so the graph is loaded once more through its binding, which does.
 */
export async function findUnnamedType(file: string): Promise<{ side: 'input' | 'output'; name: string; type: string } | undefined> {
  const { binding } = await import('onnxruntime-node/dist/binding.js');
  const session = new binding.InferenceSession();
  try {
    session.loadModel(file, { graphOptimizationLevel: 'disabled' });
    const find = (values: RawValue[]) => values.find((value) => value.isTensor && UNNAMED_TYPES[value.type] !== undefined);
    const input = find(session.inputMetadata);
    const value = input ?? find(session.outputMetadata);
    if (value === undefined) return undefined;
    return { side: input === undefined ? 'output' : 'input', name: value.name, type: UNNAMED_TYPES[value.type] as string };
  } finally {
    session.dispose();
  }
}
