import { HearthlendError } from '../../contract/errors.ts';
import type { ModelValue } from '../../contract/jobs.ts';
import { TENSOR_TYPES, type TensorType } from '../../contract/tensor.ts';
import { BYTES, type Field, invalidModel, MAX_DIMENSIONS, MAX_NAME_BYTES, VARINT, type WireReader } from './wire.ts';

/** ONNX's element types by number, under our names. Source: onnx.proto, TensorProto.DataType. */
export const ELEMENT_TYPES: readonly string[] = [
  'undefined',
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  'complex64',
  'complex128',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'uint4',
  'int4',
  'float4e2m1',
  'float8e8m0',
  'uint2',
  'int2',
];

const MAX_TYPE_DEPTH = 8;

/** A graph's input or output as written, whatever its type: `type` is our name for it, null where the file gives none. */
export interface DeclaredValue {
  name: string;
  type: string | null;
  shape: ModelValue['shape'];
}

/** Reads a ValueInfoProto. */
export async function readValue(reader: WireReader, field: Field): Promise<DeclaredValue> {
  const value: DeclaredValue = { name: '', type: null, shape: null };
  await reader.eachField(field.start, field.end, (part) => {
    if (part.number === 1)
      return reader.text(part, MAX_NAME_BYTES).then((name) => {
        value.name = name;
      });
    if (part.number === 2 && part.wire === BYTES)
      return readType(reader, part, 0).then((declared) => {
        value.type = declared.type;
        value.shape = declared.shape;
      });
    return undefined;
  });
  return value;
}

type DeclaredType = Pick<DeclaredValue, 'type' | 'shape'>;

/** Reads a TypeProto: the field says which kind of type it is. */
async function readType(reader: WireReader, field: Field, depth: number): Promise<DeclaredType> {
  if (depth > MAX_TYPE_DEPTH) throw invalidModel('a type in it is nested too deeply');
  let declared: DeclaredType = { type: null, shape: null };
  await reader.eachField(field.start, field.end, (kind) => {
    if (kind.wire !== BYTES) return undefined;
    const take = async (reading: Promise<DeclaredType>): Promise<void> => {
      declared = await reading;
    };
    const wrap = async (word: string, reading: Promise<string>): Promise<void> => {
      declared = { type: `${word}(${await reading})`, shape: null };
    };
    if (kind.number === 1) return take(readTensorType(reader, kind));
    if (kind.number === 4) return wrap('sequence', readInnerType(reader, kind, depth));
    if (kind.number === 5) return wrap('map', readMapType(reader, kind, depth));
    if (kind.number === 7) return wrap('opaque', Promise.resolve('?'));
    if (kind.number === 8)
      return wrap(
        'sparse',
        readTensorType(reader, kind).then(({ type }) => `tensor(${type})`),
      );
    if (kind.number === 9) return wrap('optional', readInnerType(reader, kind, depth));
    return undefined;
  });
  return declared;
}

async function readInnerType(reader: WireReader, field: Field, depth: number): Promise<string> {
  let inner = '?';
  await reader.eachField(field.start, field.end, (part) => {
    if (part.number !== 1 || part.wire !== BYTES) return undefined;
    return readType(reader, part, depth + 1).then((declared) => {
      inner = nestedName(declared.type);
    });
  });
  return inner;
}

async function readMapType(reader: WireReader, field: Field, depth: number): Promise<string> {
  let key = '?';
  let value = '?';
  await reader.eachField(field.start, field.end, (part) => {
    if (part.number === 1 && part.wire === VARINT) key = ELEMENT_TYPES[part.value] ?? '?';
    if (part.number !== 2 || part.wire !== BYTES) return undefined;
    return readType(reader, part, depth + 1).then((declared) => {
      value = nestedName(declared.type);
    });
  });
  return `${key}, ${value}`;
}

function nestedName(type: string | null): string {
  if (type === null) return '?';
  return type.includes('(') ? type : `tensor(${type})`;
}

async function readTensorType(reader: WireReader, field: Field): Promise<DeclaredType> {
  let type = 'undefined';
  let shape: ModelValue['shape'] = null;
  await reader.eachField(field.start, field.end, (part) => {
    if (part.number === 1 && part.wire === VARINT) type = ELEMENT_TYPES[part.value] ?? `type ${part.value}`;
    if (part.number !== 2 || part.wire !== BYTES) return undefined;
    return readShape(reader, part).then((dimensions) => {
      shape = dimensions;
    });
  });
  return { type, shape };
}

async function readShape(reader: WireReader, field: Field): Promise<Array<number | string | null>> {
  const dimensions: Array<number | string | null> = [];
  await reader.eachField(field.start, field.end, (part) => {
    if (part.number !== 1 || part.wire !== BYTES) return undefined;
    if (dimensions.length === MAX_DIMENSIONS) throw invalidModel(`a shape in it has more than ${MAX_DIMENSIONS} dimensions`);
    const at = dimensions.push(null) - 1;
    return reader.eachField(part.start, part.end, (dimension) => {
      // Some exporters write -1 for a size that varies.
      if (dimension.number === 1 && dimension.wire === VARINT)
        dimensions[at] = Number.isSafeInteger(dimension.value) && dimension.value >= 0 ? dimension.value : null;
      if (dimension.number !== 2) return undefined;
      return reader.text(dimension, MAX_NAME_BYTES).then((name) => {
        dimensions[at] = name === '' ? null : name;
      });
    });
  });
  return dimensions;
}

/**
 * What can be carried of the values declared.
 * @throws MODEL_VALUE_UNSUPPORTED naming side, name and type
 */
export function carriedValues(side: 'input' | 'output', declared: readonly DeclaredValue[]): ModelValue[] {
  return declared.map(({ name, type, shape }) => {
    if (name === '' || name.length > 1024) throw invalidModel(`an ${side} has a name of ${name.length} characters`);
    if (type === null && side === 'output') return { name, type, shape };
    if (type === null) throw invalidModel(`the input ${name} has no type`);
    if (!isTensorType(type)) throw new HearthlendError('MODEL_VALUE_UNSUPPORTED', { side, name, type });
    return { name, type, shape };
  });
}

function isTensorType(type: string): type is TensorType {
  return Object.hasOwn(TENSOR_TYPES, type);
}
