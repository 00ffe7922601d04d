// The bench's models: a chain of products of a small matrix, as long as a shard is to take.
import { onnxModel } from '../contract/onnx-writer.ts';

/** The width of a chain's matrix; its input and output are ROWS × WIDTH floats, 32 KiB. */
const WIDTH = 512;
const ROWS = 16;

/** A model x → y over ROWS × WIDTH floats with `links` matrix products; 0: one addition to a single float. */
export function chainModel(links: number): Uint8Array {
  const shape = inputShape(links);
  const last = Math.max(1, links);
  const name = (link: number) => (link === 0 ? 'x' : link === last ? 'y' : `h${link}`);
  const weights = links === 0 ? Float32Array.of(1) : turning(WIDTH);
  return onnxModel({
    name: 'chain',
    nodes: Array.from({ length: last }, (_, link) => ({
      op: links === 0 ? 'Add' : 'MatMul',
      inputs: [name(link), 'w'],
      output: name(link + 1),
    })),
    inputs: [{ name: 'x', type: 'float32', shape }],
    outputs: [{ name: 'y', type: 'float32', shape }],
    constants: [{ name: 'w', type: 'float32', shape: links === 0 ? [1] : [WIDTH, WIDTH], data: new Uint8Array(weights.buffer) }],
  });
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
