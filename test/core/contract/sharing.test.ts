import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { shareCalls } from '../../../core/contract/sharing.ts';

test('however many ask while a call runs, one more follows it, which has begun after they asked; one that fails keeps nobody from the next', async () => {
  let calls = 0;
  const ask = shareCalls(async () => {
    calls += 1;
    const own = calls;
    await turn();
    if (own === 1) throw new Error('gone');
  });
  const first = ask();
  const [second, third] = [ask(), ask()];
  expect(second).toBe(third);
  expect(calls).toBe(1);
  await expect(first).rejects.toThrow('gone');
  await second;
  expect(calls).toBe(2);
  await ask();
  expect(calls).toBe(3);
});
