import { BYTES, type Field, invalidModel, MAX_DIMENSIONS, MAX_NAME_BYTES, VARINT, type WireReader } from './wire.ts';

/** What a TensorProto says of itself. Its elements are stepped over. */
export interface TensorFacts {
  name: string;
  /** TensorProto.DataType's number. */
  type: number;
  shape: number[];
  /** Bytes of `raw_data`; null where there is none. */
  rawBytes: number | null;
  /** In the fields of one type each: how many elements they hold, at least and at most, since packed ones are not counted. */
  typed: { fields: number; least: number; most: number };
  strings: { count: number; bytes: number };
  /** Where its external data lies, as written. */
  external: { location: string; offset: number; length: number | null; end: number } | null;
  /** Whether it says that its data is external. Where it doesn't, ONNX Runtime doesn't look at `external`. */
  isExternal: boolean;
}

const EXTERNAL = 1;
/** Entries of a tensor's external data: location, offset, length, checksum, and what an exporter adds. */
const MAX_DATA_ENTRIES = 16;
const NUMBER = /^\d{1,15}$/;

/** Elements in a field of a fixed size each, packed. Field numbers: float_data, double_data. */
const FIXED: Record<number, number> = { 4: 4, 10: 8 };
/** int32_data, int64_data, uint64_data: 1 to 10 bytes each, packed. */
const VARYING = new Set([5, 7, 11]);

/**
 * Reads a TensorProto. Of a tensor that nobody asks about only the place of external data is read, and the name where that is wanted.
 * @throws MODEL_INVALID
 */
export async function readTensor(reader: WireReader, field: Field, wanted: 'place' | 'name' | 'all'): Promise<TensorFacts> {
  const tensor: TensorFacts = {
    name: '',
    type: 0,
    shape: [],
    rawBytes: null,
    typed: { fields: 0, least: 0, most: 0 },
    strings: { count: 0, bytes: 0 },
    external: null,
    isExternal: false,
  };
  const data = new Map<string, string>();
  const seen = new Set<number>();
  await reader.eachField(field.start, field.end, (part) => {
    if (part.number === 8 && wanted !== 'place')
      return reader.text(part, MAX_NAME_BYTES).then((name) => {
        tensor.name = name;
      });
    // data_location is not asked for: a location that ONNX Runtime would ignore is held to the same rules.
    if (part.number === 13 && part.wire === BYTES) return readDataEntry(reader, part, data);
    if (wanted !== 'all') return undefined;
    const bytes = part.end - part.start;
    if (part.number === 1)
      return reader.numbers(part, MAX_DIMENSIONS).then((sizes) => {
        tensor.shape.push(...sizes);
        if (tensor.shape.length > MAX_DIMENSIONS) throw invalidModel(`a shape in it has more than ${MAX_DIMENSIONS} dimensions`);
      });
    if (part.number === 2 && part.wire === VARINT) tensor.type = part.value;
    else if (part.number === 3) throw invalidModel('a tensor in it is a segment of another');
    else if (part.number === 6 && part.wire === BYTES) {
      tensor.strings.count += 1;
      tensor.strings.bytes += bytes;
    } else if (part.number === 9 && part.wire === BYTES) {
      if (tensor.rawBytes !== null) throw invalidModel('a tensor in it has its data twice');
      tensor.rawBytes = bytes;
    } else if (part.number === 14 && part.wire === VARINT) tensor.isExternal = part.value === EXTERNAL;
    else if (part.number in FIXED || VARYING.has(part.number)) {
      const one = FIXED[part.number];
      if (!seen.has(part.number)) tensor.typed.fields += 1;
      seen.add(part.number);
      tensor.typed.least += part.wire !== BYTES ? 1 : one === undefined ? Math.ceil(bytes / 10) : Math.floor(bytes / one);
      tensor.typed.most += part.wire !== BYTES ? 1 : one === undefined ? bytes : Math.floor(bytes / one);
    }
    return undefined;
  });
  tensor.external = placeOf(data);
  return tensor;
}

async function readDataEntry(reader: WireReader, field: Field, data: Map<string, string>): Promise<void> {
  let key = '';
  let value = '';
  await reader.eachField(field.start, field.end, (part) => {
    if (part.number === 1)
      return reader.text(part, MAX_NAME_BYTES).then((text) => {
        key = text;
      });
    if (part.number === 2)
      return reader.text(part, MAX_NAME_BYTES).then((text) => {
        value = text;
      });
    return undefined;
  });
  if (data.has(key)) throw invalidModel(`a tensor's external data gives its ${key} twice`);
  if (data.size === MAX_DATA_ENTRIES) throw invalidModel("a tensor's external data has too many entries");
  data.set(key, value);
}

/** `end`: how many bytes the file must have; without a length, the tensor takes the file's rest. */
function placeOf(data: ReadonlyMap<string, string>): TensorFacts['external'] {
  const location = data.get('location');
  if (location === undefined) return null;
  const [offset, length] = [data.get('offset') ?? '0', data.get('length') ?? null];
  if (!NUMBER.test(offset) || (length !== null && !NUMBER.test(length)))
    throw invalidModel("a tensor's external data has a malformed offset or length");
  return {
    location,
    offset: Number(offset),
    length: length === null ? null : Number(length),
    end: Number(offset) + Number(length ?? 0),
  };
}
