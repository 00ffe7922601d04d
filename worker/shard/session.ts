import type * as OnnxRuntime from 'onnxruntime-node';
import { HearthlendError } from '../../core/contract/errors.ts';
import { TENSOR_TYPES, type TensorType } from '../../core/contract/tensor.ts';
import type { GraphValue } from '../../core/contract/worker-messages.ts';

/** What a shard needs of ONNX Runtime: the same of its package for Node and of that for a page. */
export type Ort = Pick<typeof OnnxRuntime, 'Tensor' | 'InferenceSession'>;

/** A loaded model, with what goes in and comes out. */
export interface Session {
  ort: OnnxRuntime.InferenceSession;
  inputs: GraphValue[];
  outputs: GraphValue[];
}

const MAX_NAME_CHARS = 1024;

/** What a loaded model takes and gives. @throws MODEL_INVALID, MODEL_VALUE_UNSUPPORTED */
export function describeSession(ort: OnnxRuntime.InferenceSession): Session {
  return {
    ort,
    inputs: ort.inputMetadata.map((value) => describe('input', value)),
    outputs: ort.outputMetadata.map((value) => describe('output', value)),
  };
}

function describe(side: 'input' | 'output', value: OnnxRuntime.InferenceSession.ValueMetadata): GraphValue {
  if (value.name.length === 0 || value.name.length > MAX_NAME_CHARS) {
    throw new HearthlendError('MODEL_INVALID', { detail: `the name of an ${side} has ${value.name.length} characters` });
  }
  const unsupported = (type: string) => new HearthlendError('MODEL_VALUE_UNSUPPORTED', { side, name: value.name, type });
  // ONNX Runtime doesn't tell these three apart here.
  if (!value.isTensor) throw unsupported('sequence, map or optional');
  if (!Object.hasOwn(TENSOR_TYPES, value.type)) throw unsupported(value.type);
  const impossible = value.shape.find((dimension) => typeof dimension === 'number' && !(Number.isSafeInteger(dimension) && dimension >= 0));
  if (impossible !== undefined)
    throw new HearthlendError('MODEL_INVALID', { detail: `its ${side} ${value.name} has a size of ${impossible}` });
  const shape = value.shape.map((dimension) => (typeof dimension === 'string' ? dimension.slice(0, MAX_NAME_CHARS) : dimension));
  return { name: value.name, type: value.type as TensorType, shape };
}
