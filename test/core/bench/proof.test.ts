import { expect, test } from 'vitest';
import { measureProofs } from '../../../core/bench/proof.ts';

test('the try of each backend is measured against its bound, whether it works or not; where there is none to try, nothing is', async () => {
  const tries = [
    { name: 'the CPU', prove: async () => ({ works: true }) },
    { name: 'none', prove: async () => null },
    { name: 'WebGPU', prove: async () => ({ works: false }) },
  ];
  const measures = [];
  for await (const each of measureProofs({ tries })) measures.push(each);
  expect(measures.map(({ name, unit, baseline }) => [name, unit, baseline?.value])).toEqual([
    ['a try of one backend: the CPU, it works', 'ms', 10_000],
    ['a try of one backend: WebGPU, it does not work', 'ms', 10_000],
  ]);
});
