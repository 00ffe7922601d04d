import { type ElementType, onnxModel } from '../contract/onnx-writer.ts';

/** A model that does a known amount of one kind of work: its one input is small or large, as is its output, by what is measured. */
export interface Kernel {
  model: Uint8Array;
  /** Floats that go in under `x`, and come out under `y`. */
  inputFloats: number;
  outputFloats: number;
}

/** A dense matrix that turns what it is applied to: however often it is, numbers neither vanish nor overflow, which would change the time they take. */
function turning(size: number): Float32Array {
  const unit = (seed: number) => {
    const values = Float32Array.from({ length: size }, (_, at) => Math.sin((at + 1) * seed));
    const length = Math.hypot(...values);
    return values.map((each) => each / length);
  };
  // Two reflections, one after the other, are a rotation.
  const [v, w] = [unit(12.9898), unit(78.233)];
  const cosine = v.reduce((sum, each, at) => sum + each * (w[at] as number), 0);
  const matrix = new Float32Array(size * size);
  for (let row = 0; row < size; row += 1) {
    const [a, b] = [v[row] as number, w[row] as number];
    for (let column = 0; column < size; column += 1) {
      const [c, d] = [v[column] as number, w[column] as number];
      matrix[row * size + column] = (row === column ? 1 : 0) - 2 * a * c - 2 * b * d + 4 * cosine * a * d;
    }
  }
  return matrix;
}

type HalfArray = new (values: ArrayLike<number>) => { buffer: ArrayBuffer };

function bytesOf(values: Float32Array, type: ElementType): Uint8Array {
  if (type !== 'float16') return new Uint8Array(values.buffer);
  // ES2024's types don't have it yet; every Node that this runs on has.
  const { Float16Array } = globalThis as unknown as { Float16Array: HalfArray };
  return new Uint8Array(new Float16Array(values).buffer);
}

/** `links` products of square matrices, one after the other: 2 · size³ · links floating-point operations. */
export function matrixKernel(type: 'float32' | 'float16', size: number, links: number): Kernel {
  const half = type === 'float16';
  const name = (link: number) => `m${link}`;
  const model = onnxModel({
    name: 'benchmark',
    nodes: [
      ...(half ? [{ op: 'Cast', inputs: ['x'], output: 'h', attributes: { to: 10 } }] : []),
      // What depends on the input is not computed ahead.
      { op: 'Mul', inputs: ['w', half ? 'h' : 'x'], output: name(0) },
      ...Array.from({ length: links }, (_, link) => ({ op: 'MatMul', inputs: [name(link), 'w'], output: name(link + 1) })),
      { op: 'ReduceMax', inputs: [name(links)], output: half ? 'top' : 'y', attributes: { keepdims: 0 } },
      ...(half ? [{ op: 'Cast', inputs: ['top'], output: 'y', attributes: { to: 1 } }] : []),
    ],
    inputs: [{ name: 'x', type: 'float32', shape: [1] }],
    outputs: [{ name: 'y', type: 'float32', shape: [] }],
    constants: [{ name: 'w', type, shape: [size, size], data: bytesOf(turning(size), type) }],
  });
  return { model, inputFloats: 1, outputFloats: 1 };
}

const shapeOf = (floats: number) => ({
  name: 'shape',
  type: 'int64' as const,
  shape: [1],
  data: new Uint8Array(BigInt64Array.of(BigInt(floats)).buffer),
});

/** A long list filled, added to `links` times and looked through once: 4 · floats · (2 · links + 2) bytes are moved. */
export function memoryKernel(floats: number, links: number): Kernel {
  const name = (link: number) => `v${link}`;
  const model = onnxModel({
    name: 'benchmark',
    nodes: [
      { op: 'Expand', inputs: ['x', 'shape'], output: name(0) },
      ...Array.from({ length: links }, (_, link) => ({ op: 'Add', inputs: [name(link), 'x'], output: name(link + 1) })),
      { op: 'ReduceMax', inputs: [name(links)], output: 'y', attributes: { keepdims: 0 } },
    ],
    inputs: [{ name: 'x', type: 'float32', shape: [1] }],
    outputs: [{ name: 'y', type: 'float32', shape: [] }],
    constants: [shapeOf(floats)],
  });
  return { model, inputFloats: 1, outputFloats: 1 };
}

/** A long list goes in, one number comes out. */
export function uploadKernel(floats: number): Kernel {
  const model = onnxModel({
    name: 'benchmark',
    nodes: [{ op: 'ReduceMax', inputs: ['x'], output: 'y', attributes: { keepdims: 0 } }],
    inputs: [{ name: 'x', type: 'float32', shape: [floats] }],
    outputs: [{ name: 'y', type: 'float32', shape: [] }],
    constants: [],
  });
  return { model, inputFloats: floats, outputFloats: 1 };
}

/** One number goes in, a long list comes out. */
export function downloadKernel(floats: number): Kernel {
  const model = onnxModel({
    name: 'benchmark',
    nodes: [{ op: 'Expand', inputs: ['x', 'shape'], output: 'y' }],
    inputs: [{ name: 'x', type: 'float32', shape: [1] }],
    outputs: [{ name: 'y', type: 'float32', shape: [floats] }],
    constants: [shapeOf(floats)],
  });
  return { model, inputFloats: 1, outputFloats: floats };
}
