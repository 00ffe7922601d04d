import { field, joined, number, text, varint } from '../../contract/onnx-writer.ts';
import { BYTES, invalidModel, VARINT } from '../onnx/wire.ts';

/** A field of a small message that is in memory whole. */
interface MemoryField {
  number: number;
  wire: number;
  /** Tag, length and all. */
  whole: Uint8Array;
  content: Uint8Array;
}

/** The fields of a message, in its order. @throws MODEL_INVALID where the bytes are no message */
export function* fieldsOf(message: Uint8Array): Generator<MemoryField> {
  let at = 0;
  const read = (): number => {
    let [value, scale] = [0, 1];
    for (let bytes = 0; bytes < 10; bytes += 1) {
      const byte = message[at];
      if (byte === undefined) throw invalidModel('it is cut off, or not an ONNX file');
      at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw invalidModel('it is not an ONNX file');
  };
  while (at < message.length) {
    const from = at;
    const tag = read();
    const wire = tag % 8;
    const length = wire === BYTES ? read() : wire === 1 ? 8 : wire === 5 ? 4 : 0;
    const start = at;
    if (wire === VARINT) read();
    else if (wire !== BYTES && length === 0) throw invalidModel('it is not an ONNX file');
    at += length;
    if (at > message.length) throw invalidModel('it is cut off, or not an ONNX file');
    yield { number: Math.floor(tag / 8), wire, whole: message.subarray(from, at), content: message.subarray(start, at) };
  }
}

/** The head of a field of bytes whose content follows from elsewhere. */
export function fieldHead(key: number, wire: number, contentBytes: number): Uint8Array {
  const tag = varint(key * 8 + wire);
  return Uint8Array.from(wire === BYTES ? [...tag, ...varint(contentBytes)] : tag);
}

/** A NodeProto that takes some inputs under other names. */
export function renameInputs(node: Uint8Array, names: ReadonlyMap<string, string>): Uint8Array {
  const parts = [...fieldsOf(node)].map(({ number: key, wire, whole, content }) => {
    const renamed = key === 1 && wire === BYTES ? names.get(new TextDecoder().decode(content)) : undefined;
    return renamed === undefined ? whole : field(1, text(renamed));
  });
  return joined(parts);
}

/** A TensorProto whose data lies elsewhere than before. */
export function moveTensor(tensor: Uint8Array, place: { file: string; offset: number; length: number }): Uint8Array {
  const entry = (key: string, value: string) => field(13, [field(1, text(key)), field(2, text(value))]);
  return joined([
    ...[...fieldsOf(tensor)].filter(({ number: key }) => key !== 13).map(({ whole }) => whole),
    entry('location', place.file),
    entry('offset', String(place.offset)),
    entry('length', String(place.length)),
  ]);
}

/** A ValueInfoProto. @param type TensorProto.DataType's number @param shape null where nothing is known of it */
export function valueInfo(name: string, type: number, shape: readonly (number | string | null)[] | null): Uint8Array {
  const sizes = (shape ?? []).map((size) =>
    field(1, size === null ? [] : typeof size === 'number' ? number(1, size) : field(2, text(size))),
  );
  return joined([field(1, text(name)), field(2, field(1, [number(1, type), ...(shape === null ? [] : [field(2, sizes)])]))]);
}

/** One that leaves the type to be inferred. */
export function untypedValue(name: string): Uint8Array {
  return field(1, text(name));
}
