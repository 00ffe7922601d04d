import { describe, expect, it } from 'vitest';
import { threadsFor } from '../../core/workers.ts';

describe('threads of a shard that leaves their number open', () => {
  it('are half the cores for practice, and all but one for other work', () => {
    expect(threadsFor('practice', null, 8)).toBe(4);
    expect(threadsFor('own', null, 8)).toBe(7);
    expect(threadsFor('network', null, 8)).toBe(7);
  });

  it('are one on a machine with one core', () => {
    expect(threadsFor('practice', null, 1)).toBe(1);
    expect(threadsFor('own', null, 1)).toBe(1);
  });

  it('are what the user set, but no more than there are', () => {
    expect(threadsFor('practice', 3, 8)).toBe(3);
    expect(threadsFor('own', 64, 8)).toBe(8);
  });
});
