import { expect, test } from 'vitest';
import { tortureByFrames } from '../../torture/frames.ts';
import { tortureByModels } from '../../torture/models.ts';
import { temporaryFolder } from './workbench.ts';

// The whole of it, ten thousand each, is part of `npm run torture`.

test('mutated models are refused by their code or run, behind the wall, and change nothing outside', async () => {
  expect((await tortureByModels(temporaryFolder(), 150, 20_261_121)).wrong).toEqual([]);
});

test('mutated frames of a worker are refused by their code or taken, and a new worker starts within its budget', async () => {
  expect((await tortureByFrames(temporaryFolder(), 150, 20_261_121)).wrong).toEqual([]);
});
