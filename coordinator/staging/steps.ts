import type { Stage, StageValue } from '../../core/contract/stages.ts';
import { TENSOR_TYPES, type Tensor, type Tensors } from '../../core/contract/tensor.ts';
import { givenBy, handedTo, tokenAxis } from './plan.ts';

/** Some tokens on their way through the stages, and what each stage made of them so far. */
export interface Step {
  ids: number[];
  /** How many tokens went before. */
  past: number;
  values: Map<string, Tensor>;
}

/** The inputs of a stage for some steps in one pass. Pure. */
export function inputsOf(stage: Stage, steps: readonly Step[]): Tensors {
  const ids = steps.flatMap((step) => step.ids);
  return new Map(
    handedTo(stage).map((input) => {
      const { name, type, from } = input;
      if (from === 'job') return [name, tokensAs(type === 'int32' ? 'int32' : 'int64', ids)];
      const parts = steps.map(({ values }) => values.get(name) as Tensor);
      return [name, parts.length === 1 ? (parts[0] as Tensor) : joined(input, parts)];
    }),
  );
}

/** Whether what a stage takes can be put together for several steps at once. */
export function joinable(stage: Stage): boolean {
  return handedTo(stage).every((input) => input.from === 'job' || tokenAxis(input) !== null);
}

export function tokensAs(type: 'int32' | 'int64', ids: readonly number[]): Tensor {
  const elements = type === 'int32' ? Int32Array.from(ids) : BigInt64Array.from(ids, BigInt);
  return { type, shape: [1, ids.length], data: new Uint8Array(elements.buffer) };
}

function joined(value: StageValue, parts: readonly Tensor[]): Tensor {
  const axis = tokenAxis(value) as number;
  const [first] = parts as [Tensor];
  const shape = [...first.shape];
  shape[axis] = parts.reduce((sum, part) => sum + (part.shape[axis] as number), 0);
  const data = new Uint8Array(parts.reduce((sum, part) => sum + part.data.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.byteLength;
  }
  return { type: first.type, shape, data };
}

/** What is wrong with the outputs of a step, in words; undefined where they have the form that the stage declares. Pure. */
export function faultOfStep(stage: Stage, tokens: number, past: number, outputs: Tensors): string | undefined {
  const wanted = givenBy(stage);
  if (outputs.size !== wanted.length) return `a step has ${outputs.size} outputs where the stage gives ${wanted.length}`;
  for (const { name, type, shape } of wanted) {
    const tensor = outputs.get(name);
    if (tensor === undefined) return `the output ${name} is missing`;
    if (tensor.type !== type) return `${name} is ${tensor.type} where the stage gives ${type}`;
    const sizes = name === 'logits' ? [1, 1, shape.at(-1)] : shape;
    const fits =
      tensor.shape.length === sizes.length &&
      tensor.shape.every((size, axis) => {
        const declared = sizes[axis];
        // What varies is the batch, which is 1, the step's tokens, or all of them so far.
        return typeof declared === 'number' ? size === declared : (axis === 0 && size === 1) || size === tokens || size === past + tokens;
      });
    if (!fits) return `${name} is [${tensor.shape}] where ${tokens} tokens after ${past} make [${sizes.map((size) => size ?? '?')}]`;
    const elements = tensor.shape.reduce((product, size) => product * size, 1);
    if (tensor.data.byteLength !== elements * TENSOR_TYPES[type].bytes) return `${name} has ${tensor.data.byteLength} bytes`;
  }
  return undefined;
}
