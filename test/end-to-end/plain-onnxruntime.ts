// A plain onnxruntime-node in a process of its own, with nothing of Hearthlend's around it but the reading and writing of safetensors.
// Arguments: folders with model.onnx and inputs.safetensors. Writes outputs-<threads>.safetensors into each, at one thread and at two.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Tensor, TensorType } from '../../core/contract/tensor.ts';

// onnxruntime-node refuses Float16Array on Node 24, and where there is one when it loads it takes nothing else.
Reflect.deleteProperty(globalThis, 'Float16Array');
process.env.ORT_DISABLE_TELEMETRY = '1';
const { InferenceSession, Tensor: OrtTensor } = await import('onnxruntime-node');

const ELEMENTS = {
  bool: Uint8Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  float16: Uint16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  uint64: BigUint64Array,
  int64: BigInt64Array,
  float64: Float64Array,
};

for (const folder of process.argv.slice(2)) {
  const feeds = Object.fromEntries(
    [...decodeSafetensors(readFileSync(join(folder, 'inputs.safetensors')))].map(([name, { type, shape, data }]) => {
      return [name, new OrtTensor(type, new ELEMENTS[type](new Uint8Array(data).buffer) as never, shape)];
    }),
  );
  for (const threads of [1, 2]) {
    const session = await InferenceSession.create(join(folder, 'model.onnx'), {
      executionProviders: ['cpu'],
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
    });
    const results = await session.run(feeds);
    const outputs = session.outputNames.map((name): [string, Tensor] => {
      const { type, dims, data } = results[name] as InstanceType<typeof OrtTensor>;
      const view = data as unknown as Uint8Array;
      return [name, { type: type as TensorType, shape: [...dims], data: new Uint8Array(view.buffer, view.byteOffset, view.byteLength) }];
    });
    writeFileSync(join(folder, `outputs-${threads}.safetensors`), encodeSafetensors(new Map(outputs)));
    await session.release();
  }
}
