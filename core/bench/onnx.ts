/**
 * Writes the bench's models, as protobuf by hand: a chain of products of a small matrix, as long as a shard is to take. Field numbers:
 * onnx.proto of ONNX 1.17.
 */

/** The width of a chain's matrix; its input and output are ROWS × WIDTH floats, 32 KiB. */
const WIDTH = 512;
const ROWS = 16;
const FLOAT = 1;
const OPSET = 18;
const IR_VERSION = 8;

/** A model x → y over ROWS × WIDTH floats with `links` matrix products; 0: one addition to a single float. */
export function chainModel(links: number): Uint8Array {
  const shape = inputShape(links);
  const nodes: Uint8Array[] = [];
  const name = (link: number) => (link === 0 ? 'x' : link === Math.max(1, links) ? 'y' : `h${link}`);
  for (let link = 0; link < Math.max(1, links); link += 1) {
    nodes.push(
      field(1, [
        field(1, text(name(link))),
        field(1, text('w')),
        field(2, text(name(link + 1))),
        field(4, text(links === 0 ? 'Add' : 'MatMul')),
      ]),
    );
  }
  const weights = links === 0 ? Float32Array.of(1) : turning(WIDTH);
  const constant = [
    ...(links === 0 ? [1] : [WIDTH, WIDTH]).map((size) => number(1, size)),
    number(2, FLOAT),
    field(8, text('w')),
    field(9, new Uint8Array(weights.buffer)),
  ];
  const graph = [...nodes, field(2, text('chain')), field(5, constant), field(11, value('x', shape)), field(12, value('y', shape))];
  return joined([number(1, IR_VERSION), field(7, graph), field(8, [field(1, text('')), number(2, OPSET)])]);
}

export function inputShape(links: number): number[] {
  return links === 0 ? [1] : [ROWS, WIDTH];
}

/** A matrix of plane rotations: however often it is applied, numbers neither vanish nor overflow, which would change the time they take. */
function turning(width: number): Float32Array {
  const matrix = new Float32Array(width * width);
  for (let at = 0; at < width; at += 2) {
    const angle = 0.1 + at / width;
    matrix[at * width + at] = Math.cos(angle);
    matrix[at * width + at + 1] = -Math.sin(angle);
    matrix[(at + 1) * width + at] = Math.sin(angle);
    matrix[(at + 1) * width + at + 1] = Math.cos(angle);
  }
  return matrix;
}

function value(name: string, shape: readonly number[]): Uint8Array[] {
  const dimensions = shape.map((size) => field(1, number(1, size)));
  return [field(1, text(name)), field(2, field(1, [number(1, FLOAT), field(2, dimensions)]))];
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}

const number = (key: number, value: number) => Uint8Array.from([...varint(key << 3), ...varint(value)]);
const text = (value: string) => new TextEncoder().encode(value);
const joined = (parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

function field(key: number, content: Uint8Array | readonly Uint8Array[]): Uint8Array {
  const bytes = content instanceof Uint8Array ? content : joined(content);
  return joined([Uint8Array.from([...varint((key << 3) | 2), ...varint(bytes.byteLength)]), bytes]);
}
