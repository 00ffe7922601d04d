/** Writes ONNX files field by field, so that tests can have any model, well-formed or not. Field numbers are those of onnx.proto. */
export type Bytes = Uint8Array;

function varint(value: number | bigint): Bytes {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

export const concat = (...parts: Bytes[]): Bytes => new Uint8Array(Buffer.concat(parts));
export const int = (field: number, value: number | bigint): Bytes => concat(varint(field * 8), varint(value));
export const bytes = (field: number, ...parts: Bytes[]): Bytes => {
  const body = concat(...parts);
  return concat(varint(field * 8 + 2), varint(body.byteLength), body);
};
export const text = (field: number, value: string): Bytes => bytes(field, new TextEncoder().encode(value));

export const ELEMENT = { float32: 1, int32: 6, int64: 7, string: 8, bool: 9, bfloat16: 16, float8e4m3fn: 17 } as const;

const shape = (dimensions: Array<number | string | null>): Bytes =>
  bytes(
    2,
    ...dimensions.map((size) => bytes(1, size === null ? new Uint8Array(0) : typeof size === 'number' ? int(1, size) : text(2, size))),
  );
export const tensorType = (element: number, dimensions?: Array<number | string | null>): Bytes =>
  bytes(1, int(1, element), dimensions === undefined ? new Uint8Array(0) : shape(dimensions));
/** A ValueInfoProto's content; `type` is a TypeProto's. */
export const value = (name: string, type?: Bytes): Bytes => concat(text(1, name), type === undefined ? new Uint8Array(0) : bytes(2, type));

/** A float32 TensorProto's content. */
export const tensor = (name: string, dimensions: number[], floats: number[]): Bytes =>
  concat(...dimensions.map((size) => int(1, size)), int(2, 1), text(8, name), bytes(9, new Uint8Array(Float32Array.from(floats).buffer)));
export const externalTensor = (name: string, dimensions: number[], entries: Record<string, string>): Bytes =>
  concat(
    ...dimensions.map((size) => int(1, size)),
    int(2, 1),
    text(8, name),
    ...Object.entries(entries).map(([key, entry]) => bytes(13, text(1, key), text(2, entry))),
    int(14, 1),
  );

export const node = (type: string, inputs: string[], outputs: string[], ...attributes: Bytes[]): Bytes =>
  concat(
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, type),
    ...attributes.map((each) => bytes(5, each)),
  );
/** AttributeProto contents: a tensor, a graph. */
export const tensorAttribute = (name: string, content: Bytes): Bytes => concat(text(1, name), bytes(5, content), int(20, 4));
export const graphAttribute = (name: string, content: Bytes): Bytes => concat(text(1, name), bytes(6, content), int(20, 5));

export interface GraphParts {
  nodes?: Bytes[];
  initializers?: Bytes[];
  sparse?: Bytes[];
  inputs?: Bytes[];
  outputs?: Bytes[];
}

export const graph = ({ nodes = [], initializers = [], sparse = [], inputs = [], outputs = [] }: GraphParts): Bytes =>
  concat(
    ...nodes.map((each) => bytes(1, each)),
    text(2, 'graph'),
    ...initializers.map((each) => bytes(5, each)),
    ...inputs.map((each) => bytes(11, each)),
    ...outputs.map((each) => bytes(12, each)),
    ...sparse.map((each) => bytes(15, each)),
  );

export const model = (content: Bytes, ...more: Bytes[]): Bytes => concat(int(1, 9), bytes(8, int(2, 17)), bytes(7, content), ...more);

/** `y = x + w`, with w in the file or outside it. */
export const addModel = (w: Bytes): Bytes =>
  model(
    graph({
      nodes: [node('Add', ['x', 'w'], ['y'])],
      initializers: [w],
      inputs: [value('x', tensorType(ELEMENT.float32, ['n', 2]))],
      outputs: [value('y', tensorType(ELEMENT.float32, ['n', 2]))],
    }),
  );
