import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StagedGeneration } from '../../../coordinator/staging/generation.ts';
import { GenerationPlan } from '../../../coordinator/staging/plan.ts';
import type { Tensor, Tensors } from '../../../core/contract/tensor.ts';
import { float32 } from '../workbench.ts';

const DIGEST = 'ab'.repeat(32);
const VOCABULARY = 16;
/** So wide that a message carries three tokens. */
const WIDTH = 37_000;
const MOST = 24;

function planOf(prompt: number[], changes: Partial<GenerationPlan> = {}): GenerationPlan {
  const manifest = { format: 'onnx', entry: 'm.onnx', files: [{ path: 'm.onnx', bytes: 1, digest: DIGEST }] };
  const base = { digest: DIGEST, manifest, weightBytes: 1 };
  const hidden = { name: 'hidden', type: 'float32', shape: [1, 'hidden.1', WIDTH] };
  const logits = { name: 'logits', type: 'float32', shape: ['batch', 'tokens', VOCABULARY] };
  return GenerationPlan.parse({
    jobId: 'job',
    split: {
      ...{ format: 'hearthlend-split', version: 1, model: DIGEST, stopTokens: [] },
      decoder: { layers: 2, keyValueHeads: 1, headSize: 1, maxPositions: MOST },
      stages: [
        {
          ...{ ...base, layers: [0], outputs: [{ ...hidden, to: 'stage' }] },
          inputs: [{ name: 'input_ids', type: 'int64', shape: ['batch', 'tokens'], from: 'job' }],
        },
        { ...base, layers: [1], inputs: [{ ...hidden, from: 0 }], outputs: [{ ...logits, to: 'job' }] },
      ],
      check: { against: 'whole', runs: 1, distance: 0 },
    },
    ...{ prompt, maxNewTokens: 12, stopTokens: [0], sampling: { method: 'greedy' }, nonFinite: 'allow' },
    ...changes,
  });
}

/** A worker: its cache is what went through it, and what it gives depends on all of that. */
class Worker {
  #seen: number[] = [];
  readonly #index: number;

  constructor(index: number) {
    this.#index = index;
  }

  step(tokens: number, inputs: Tensors): Tensors {
    const { data } = inputs.get(this.#index === 0 ? 'input_ids' : 'hidden') as Tensor;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const read = (at: number) => (this.#index === 0 ? Number(view.getBigInt64(8 * at, true)) : view.getFloat32(4 * WIDTH * at, true));
    const rows = Array.from({ length: tokens }, (_, at) => {
      this.#seen.push(read(at));
      return this.#seen.reduce((sum, each, place) => (sum * 3 + each + place) % 97, 1);
    });
    if (this.#index === 0) {
      const values = new Float32Array(tokens * WIDTH);
      rows.forEach((row, at) => {
        values[at * WIDTH] = row;
      });
      return new Map([['hidden', { type: 'float32', shape: [1, tokens, WIDTH], data: new Uint8Array(values.buffer) }]]);
    }
    const chosen = (rows.at(-1) as number) % VOCABULARY;
    const logits = Array.from({ length: VOCABULARY }, (_, id) => (id === chosen ? 1 : 0));
    return new Map([['logits', float32(logits, [1, 1, VOCABULARY])]]);
  }
}

/** Plays both stages, one exchange at a time. @param loses before which exchange of all which stage's worker is lost */
function play(plan: GenerationPlan, loses: ReadonlyMap<number, number> = new Map()): number[] {
  const generation = new StagedGeneration(plan);
  const places = [0, 1].map((index) => ({ index, attempt: 1, step: 0, worker: new Worker(index) }));
  let exchanges = 0;
  for (let idle = 0; idle < 2; ) {
    idle = 0;
    for (const place of places) {
      exchanges += 1;
      if (loses.get(exchanges) === place.index)
        Object.assign(place, { attempt: place.attempt + 1, step: 0, worker: new Worker(place.index) });
      generation.claim(place.index, place.attempt, place.step);
      const next = generation.next(place.index);
      if (next?.type !== 'step') {
        idle += 1;
        continue;
      }
      const outputs = place.worker.step(next.tokens, next.inputs);
      place.step += 1;
      generation.claim(place.index, place.attempt, place.step);
      generation.handIn(place.index, place.step, outputs, createHash('sha256').update(`${place.step}`).digest('hex'));
    }
  }
  expect(generation.over).toBe(true);
  return [...generation.tokens];
}

test('whichever workers are lost whenever, the tokens are the same', () => {
  const prompt = fc.array(fc.integer({ min: 1, max: VOCABULARY - 1 }), { minLength: 1, maxLength: 11 });
  const losses = fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 1 })), { maxLength: 6 });
  fc.assert(
    fc.property(prompt, losses, (ids, lost) => {
      const plan = planOf(ids);
      const expected = play(plan);
      expect(expected.length).toBeGreaterThan(0);
      expect(play(plan, new Map(lost))).toEqual(expected);
    }),
    { numRuns: 40 },
  );
});

test('a generation ends at its limit, at a stop token, and where the positions are used up', () => {
  const [first, ...rest] = play(planOf([3, 4, 5], { stopTokens: [] }));
  expect([first, ...rest]).toHaveLength(12);
  expect(play(planOf([3, 4, 5], { stopTokens: [first as number] }))).toEqual([first]);
  expect(play(planOf([3, 4, 5], { stopTokens: [], maxNewTokens: 1000 }))).toHaveLength(MOST - 3);
});

test('what one token takes has to fit a message, and what a whole text takes the memory', () => {
  const wide = (width: number, maxPositions: number) => {
    const plan = planOf([1]);
    const hidden = plan.split.stages[0]?.outputs[0];
    if (hidden !== undefined) hidden.shape = [1, 'hidden.1', width];
    if (plan.split.decoder !== null) plan.split.decoder.maxPositions = maxPositions;
    return () => new StagedGeneration(plan);
  };
  expect(wide(200_000, 16)).toThrow('MODEL_UNCUTTABLE');
  expect(wide(100_000, 8192)).toThrow('MODEL_UNCUTTABLE');
  expect(wide(100_000, 1024)).not.toThrow();
});

test('an attempt that was replaced, or claims steps that were never handed out, is told that its lease is over', () => {
  const generation = new StagedGeneration(planOf([1, 2]));
  generation.claim(0, 2, 0);
  expect(() => generation.claim(0, 1, 0)).toThrow('LEASE_EXPIRED');
  expect(() => generation.claim(0, 2, 1)).toThrow('LEASE_EXPIRED');
  expect(() => generation.claim(7, 1, 0)).toThrow('LEASE_UNKNOWN');
});

test('logits that leave nothing to choose by are refused where the job says so, and the stage can be tried again', () => {
  const generation = new StagedGeneration(planOf([1, 2], { nonFinite: 'reject' }));
  const [one, other] = [new Worker(0), new Worker(1)];
  generation.claim(0, 1, 0);
  const first = generation.next(0);
  if (first?.type !== 'step') throw new Error('no step');
  generation.handIn(0, 1, one.step(first.tokens, first.inputs), 'a');
  generation.claim(1, 1, 0);
  const second = generation.next(1);
  if (second?.type !== 'step') throw new Error('no step');
  const nothing = new Map([['logits', float32(new Array(VOCABULARY).fill(Number.NaN), [1, 1, VOCABULARY])]]);
  expect(() => generation.handIn(1, 1, nothing, 'b')).toThrow('OUTPUT_NOT_FINITE');
  generation.claim(1, 2, 0);
  const again = generation.next(1);
  if (again?.type !== 'step') throw new Error('no step');
  generation.handIn(1, 1, other.step(again.tokens, again.inputs), 'c');
  expect(generation.tokens).toHaveLength(1);
});
