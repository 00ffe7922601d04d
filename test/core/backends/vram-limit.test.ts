import fc from 'fast-check';
import { expect, test } from 'vitest';
import { overVram } from '../../../core/backends/vram-limit.ts';
import { gpuSample } from '../../fakes/telemetry.ts';

const [first, second] = ['0000:01:00.0', '0000:41:00.0'] as const;
const worker = (gpu: string, vramLimitBytes: number | null) => ({ gpu, vramLimitBytes });
const holding = (gpu: string, memoryOursBytes: number | null) => gpuSample({ gpu, memoryOursBytes });

test('a worker that holds more of its GPU than it may is named, with what it holds; others are not', () => {
  const workers = [worker(first, 8e9), worker(second, 8e9)];
  expect(overVram([holding(first, 8e9 + 1), holding(second, 8e9)], workers)).toEqual([
    { worker: workers[0], heldBytes: 8e9 + 1, limitBytes: 8e9 },
  ]);
});

test('what is not known passes no limit: what is held, how much there is, or the GPU itself', () => {
  expect(overVram([holding(first, null)], [worker(first, 1)])).toEqual([]);
  expect(overVram([holding(first, 9e12)], [worker(first, null)])).toEqual([]);
  expect(overVram([holding(second, 9e12)], [worker(first, 1)])).toEqual([]);
  expect(overVram([], [worker(first, 0)])).toEqual([]);
});

test('who is over depends on nothing but that own number and its limit', () => {
  const bytes = fc.option(fc.nat());
  fc.assert(
    fc.property(bytes, bytes, bytes, bytes, (held, limit, otherHeld, otherLimit) => {
      const found = overVram([holding(second, otherHeld), holding(first, held)], [worker(first, limit), worker(second, otherLimit)]);
      expect(found.some((each) => each.worker.gpu === first)).toBe(held !== null && limit !== null && held > limit);
    }),
  );
});
