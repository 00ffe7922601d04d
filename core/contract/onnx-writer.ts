/** Writes small models as protobuf by hand: those that measure; and the fields of which any is made. Field numbers: onnx.proto of ONNX 1.17. */

const OPSET = 18;
const IR_VERSION = 8;
/** TensorProto.DataType. */
const TYPES = { float32: 1, int64: 7, float16: 10 } as const;
export type ElementType = keyof typeof TYPES;

interface Value {
  name: string;
  type: ElementType;
  shape: readonly number[];
}
interface Node {
  op: string;
  inputs: readonly string[];
  output: string;
  /** Whole-number attributes. */
  attributes?: Readonly<Record<string, number>>;
}
interface Graph {
  name: string;
  nodes: readonly Node[];
  inputs: readonly Value[];
  outputs: readonly Value[];
  constants: readonly (Value & { data: Uint8Array })[];
}

const ATTRIBUTE_INT = 2;

/** The bytes of an .onnx file. */
export function onnxModel({ name: graphName, nodes, inputs, outputs, constants }: Graph): Uint8Array {
  const graph = [
    ...nodes.map(({ op, inputs, output, attributes = {} }) =>
      field(1, [
        ...inputs.map((name) => field(1, text(name))),
        field(2, text(output)),
        field(4, text(op)),
        ...Object.entries(attributes).map(([name, value]) => field(5, [field(1, text(name)), number(3, value), number(20, ATTRIBUTE_INT)])),
      ]),
    ),
    field(2, text(graphName)),
    ...constants.map(({ name, type, shape, data }) =>
      field(5, [...shape.map((size) => number(1, size)), number(2, TYPES[type]), field(8, text(name)), field(9, data)]),
    ),
    ...inputs.map((value) => field(11, described(value))),
    ...outputs.map((value) => field(12, described(value))),
  ];
  return joined([number(1, IR_VERSION), field(7, graph), field(8, [field(1, text('')), number(2, OPSET)])]);
}

function described({ name, type, shape }: Value): Uint8Array[] {
  const sizes = shape.map((size) => field(1, number(1, size)));
  return [field(1, text(name)), field(2, field(1, [number(1, TYPES[type]), field(2, sizes)]))];
}

export function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}

export const number = (key: number, value: number) => Uint8Array.from([...varint(key << 3), ...varint(value)]);
export const text = (value: string) => new TextEncoder().encode(value);

export function field(key: number, content: Uint8Array | readonly Uint8Array[]): Uint8Array {
  const bytes = content instanceof Uint8Array ? content : joined(content);
  return joined([Uint8Array.from([...varint((key << 3) | 2), ...varint(bytes.byteLength)]), bytes]);
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}
